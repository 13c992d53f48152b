{% macro text_literal(text) %}
    {#- Any text as one BigQuery string literal, so that what a user writes can never become a part of the query. -#}
    {%- set escaped = text
        | replace('\\', '\\\\') | replace("'", "\\'") | replace('\n', '\\n') | replace('\r', '\\r') -%}
    {{ return("'" ~ escaped ~ "'") }}
{% endmacro %}
