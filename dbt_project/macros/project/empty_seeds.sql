{#
dbt creates no table for a seed without rows, so an empty deny list would not be a table. These macros first create the
table from the declared column types, and then dbt loads the rows, if there are any.
#}


{% macro bigquery__create_csv_table(model, agate_table) %}
    {%- set columns = [] -%}
    {%- for name, type in model.config.column_types.items() -%}
        {%- do columns.append(name ~ ' ' ~ type) -%}
    {%- endfor -%}
    {%- do run_query('create or replace table ' ~ this ~ ' (' ~ columns | join(', ') ~ ')') -%}
{% endmacro %}


{% macro bigquery__reset_csv_table(model, full_refresh, old_relation, agate_table) %}
    {{ bigquery__create_csv_table(model, agate_table) }}
{% endmacro %}
