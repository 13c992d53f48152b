{#
dbt loads a seed without rows not at all, so that an empty deny list would be no table. Here the table is made from the
declared column types first, and the rows, where there are any, are loaded into it.
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
