{% macro is_emulated() %}
    {#- True where an endpoint is set: a local BigQuery answers, which lacks some of what the adapter's macros use. -#}
    {{ return(endpoint() != '') }}
{% endmacro %}


{% macro endpoint() %}
    {#- As in profiles.yml, which dbt does not show to macros: empty means Google's own BigQuery. -#}
    {%- set default = 'http://127.0.0.1:9050' if target.name == 'local' else '' -%}
    {{ return(env_var('TUNING_BIGQUERY_ENDPOINT', '') or default) }}
{% endmacro %}
