{% macro is_emulated() %}
    {#- Return true if an endpoint is set. It is a local BigQuery, which lacks some features that the adapter uses. -#}
    {{ return(endpoint() != '') }}
{% endmacro %}


{% macro endpoint() %}
    {#- Return the endpoint; '' means Google's BigQuery. A copy of profiles.yml, which macros cannot read. -#}
    {%- set default = 'http://127.0.0.1:9050' if target.name == 'local' else '' -%}
    {{ return(env_var('TUNING_BIGQUERY_ENDPOINT', '') or default) }}
{% endmacro %}
