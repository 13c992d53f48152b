{% macro refuse_another_home() %}
    {#-
    Stop if the local BigQuery belongs to another home. A server belongs to one home (TUNING_HOME), and a write to the
    server of another home would mix the data of two projects.
    -#}
    {%- if execute and is_emulated() and flags.WHICH in ('build', 'run', 'test', 'seed', 'retry') -%}
        {%- set mine = own_home() -%}
        {%- set marker = adapter.get_relation(database=target.project, schema='tuning_server', identifier='home') -%}
        {%- if marker is none and not env_var('TUNING_BIGQUERY_ENDPOINT', '') -%}
            {{ exceptions.raise_compiler_error(
                "the server at " ~ endpoint() ~ " was not started by `invoke warehouse.up` for the home " ~ mine
                ~ "; run `invoke warehouse.up`, or set TUNING_BIGQUERY_ENDPOINT to another server"
            ) }}
        {%- elif marker is not none -%}
            {%- set theirs = run_query('select path from ' ~ marker).rows[0][0] -%}
            {%- if theirs != mine -%}
                {{ exceptions.raise_compiler_error(
                    "the server at " ~ endpoint() ~ " belongs to the home " ~ theirs ~ ", but this run uses " ~ mine
                    ~ "; set TUNING_HOME, or set TUNING_BIGQUERY_ENDPOINT to the address that `invoke warehouse.status`"
                    ~ " prints"
                ) }}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}


{% macro own_home() %}
    {#- Return TUNING_HOME as an absolute path. The default is the folder `var` next to this project. -#}
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
