{% macro refuse_broken_tag_pattern() %}
    {#- Use the pattern once before the build, so that an invalid pattern causes one error instead of one per model. -#}
    select regexp_contains('', {{ text_literal(variable('tag_pattern')) }}) as is_readable_tag_pattern
{% endmacro %}
