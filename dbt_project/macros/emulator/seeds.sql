{% macro bigquery__load_csv_rows(model, agate_table) -%}
    {#- The adapter's own macro ends with `alter table … set options`, which the emulator does not support. -#}
    {%- if is_emulated() -%}
        {{ return(adapter.load_dataframe(
            model.database, model.schema, model.alias, agate_table, model.config.column_types, model.config.delimiter
        )) }}
    {%- endif -%}
    {{ return(dbt_bigquery.bigquery__load_csv_rows(model, agate_table)) }}
{%- endmacro %}
