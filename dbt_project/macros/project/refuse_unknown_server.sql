{% macro refuse_unknown_server() %}
    {#-
    Stop if another program answers at the default port. A server of `invoke warehouse.up` has a table with its home. It
    refuses the commands of other homes itself, because every request names its home (profiles.yml).
    -#}
    {%- set connects = flags.WHICH in ('build', 'run', 'test', 'seed', 'retry', 'snapshot') -%}
    {%- if execute and connects and is_emulated() and not env_var('TUNING_BIGQUERY_ENDPOINT', '') -%}
        {%- if adapter.get_relation(database=target.project, schema='tuning_server', identifier='home') is none -%}
            {{ exceptions.raise_compiler_error(
                "the server at " ~ endpoint() ~ " was not started by `invoke warehouse.up`; run it, or set"
                ~ " TUNING_BIGQUERY_ENDPOINT to another server"
            ) }}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
