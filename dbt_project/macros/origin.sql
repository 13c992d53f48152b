{% macro is_public_dataset() %}
    {#- Return true if the raw tables are Google's copy of Stack Overflow, which has no `origin` table. -#}
    {{ return(not is_emulated() and raw_tables().raw_database == 'bigquery-public-data') }}
{% endmacro %}


{% macro has_closed_dates() %}
    {#-
    Return whether posts_questions has the column closed_date. The public dataset lacks it, and so do tables that an older
    version loaded. Without a connection, which `dbt compile` may lack, the tables are those of the current version.
    -#}
    {%- if is_public_dataset() -%}
        {{ return(false) }}
    {%- elif not execute or flags.WHICH not in ('build', 'run', 'test', 'retry') -%}
        {{ return(true) }}
    {%- endif -%}
    {%- set raw = raw_tables() -%}
    {%- set questions = adapter.get_relation(
        database=raw.raw_database, schema=raw.raw_schema, identifier='posts_questions'
    ) -%}
    {%- if questions is none -%}
        {{ return(true) }}
    {%- endif -%}
    {{ return('closed_date' in adapter.get_columns_in_relation(questions) | map(attribute='name')) }}
{% endmacro %}
