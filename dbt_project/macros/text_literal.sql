{% macro text_literal(text) %}
    {#- Return a text as one BigQuery string literal, so that user input can never change the query. -#}
    {%- set escaped = text
        | replace('\\', '\\\\') | replace("'", "\\'") | replace('\n', '\\n') | replace('\r', '\\r') -%}
    {{ return("'" ~ escaped ~ "'") }}
{% endmacro %}
