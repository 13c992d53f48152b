{% macro refuse_another_home() %}
    {#- A local BigQuery belongs to one home (TUNING_HOME): writing into another's would mix two people's data. -#}
    {%- if execute and is_emulated() and flags.WHICH in ('build', 'run', 'test', 'seed', 'retry') -%}
        {%- set mine = own_home() -%}
        {%- set marker = adapter.get_relation(database=target.project, schema='tuning_server', identifier='home') -%}
        {%- if marker is none and not env_var('TUNING_BIGQUERY_ENDPOINT', '') -%}
            {{ exceptions.raise_compiler_error(
                "the server at " ~ endpoint() ~ " was not started by `invoke warehouse.up` of " ~ mine
                ~ "; start it, or name another server in TUNING_BIGQUERY_ENDPOINT"
            ) }}
        {%- elif marker is not none -%}
            {%- set theirs = run_query('select path from ' ~ marker).rows[0][0] -%}
            {%- if theirs != mine -%}
                {{ exceptions.raise_compiler_error(
                    "the server at " ~ endpoint() ~ " belongs to the home " ~ theirs ~ ", but this run's is " ~ mine
                    ~ "; set TUNING_HOME, or set TUNING_BIGQUERY_ENDPOINT to what `invoke warehouse.status` prints"
                ) }}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}


{% macro own_home() %}
    {#- TUNING_HOME as an absolute path; by default the folder var beside this project. -#}
    {%- set project_folder = absolute_path(invocation_args_dict.get('project_dir') | string) -%}
    {{ return(absolute_path(env_var('TUNING_HOME', '') or project_folder.rsplit('/', 1)[0] ~ '/var')) }}
{% endmacro %}


{% macro absolute_path(path) %}
    {%- set trimmed = path.rstrip('/') -%}
    {%- if trimmed == '.' -%}
        {{ return(env_var('PWD', '')) }}
    {%- endif -%}
    {{ return(trimmed if path.startswith('/') else env_var('PWD', '') ~ '/' ~ trimmed) }}
{% endmacro %}
