{# The rules that select the rows of the marts. macros/quality/rules.sql has the filters. Models, funnel and tests use the same macro for a rule. #}


{% macro has_tag(tags) %}
    exists (
        select 1
        from unnest({{ tags }}) as tag
        where regexp_contains(tag, {{ text_literal(variable('tag_pattern')) }})
    )
{% endmacro %}


{% macro is_new_enough(created_at) %}
    {#- The date means midnight UTC, as in the query of the seed notebook. -#}
    coalesce({{ created_at }} >= timestamp({{ text_literal(variable('since')) }}), false)
{% endmacro %}


{% macro is_parent_enough(is_answer_to_this_question) %}
    {{ is_answer_to_this_question if variable('match_parent') else 'true' }}
{% endmacro %}


{% macro is_denied(post_id) %}
    exists (
        select 1
        from denied_posts
        where denied_posts.post_id = {{ post_id }}
    )
{% endmacro %}
