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


{% macro exclusion_reason(post_id, author_id, stated_license) %}
    {#-
    Return why no mart may contain a post, or null. Dumps of 2025 contain fabricated posts: the user Community (-1) wrote
    them, and their IDs are far above those of the site. Community also owns real posts. All other users with a negative
    ID are bots. A licence that forbids commercial use (NC) or changes (ND) does not allow what a dataset is for. `origin`
    is the only row of stg_stack_exchange__origin: it names the users that the load excluded.
    https://meta.stackexchange.com/questions/412018
    -#}
    case
        when {{ author_id }} = -1 and {{ post_id }} >= 1000000000 then 'fabricated'
        when regexp_contains({{ stated_license }}, r'(?i)\b(?:nc|nd|non-?commercial|no-?deriv\w*)\b') then 'restricted licence'
        when {{ author_id }} < -1 then 'bot'
        {%- if variable('exclude_user') %}
        when {{ author_id }} in ({{ variable('exclude_user') | join(', ') }}) then 'excluded user'
        {%- endif %}
        when strpos(concat(',', origin.exclude_user, ','), concat(',', cast({{ author_id }} as string), ',')) > 0
            then 'excluded user'
    end
{% endmacro %}


{% macro is_denied(post_id) %}
    exists (
        select 1
        from denied_posts
        where denied_posts.post_id = {{ post_id }}
    )
{% endmacro %}
