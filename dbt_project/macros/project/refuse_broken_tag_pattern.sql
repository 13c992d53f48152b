{% macro refuse_broken_tag_pattern() %}
    {#- Tries the pattern once before anything is built: a broken one is then one error, not one per model. -#}
    select regexp_contains('', {{ text_literal(variable('tag_pattern')) }}) as is_readable_tag_pattern
{% endmacro %}
