{#
The adapter builds the catalog of the docs from __TABLES__, which the emulator does not have. If an endpoint is set, these
macros build it from INFORMATION_SCHEMA.TABLES and COLUMNS. Otherwise the adapter's own macros run.
#}


{% macro bigquery__get_catalog(information_schema, schemas) -%}
    {%- if is_emulated() -%}
        {{ return(run_query(emulated_catalog(information_schema, 'true'))) }}
    {%- endif -%}
    {{ return(dbt_bigquery.bigquery__get_catalog(information_schema, schemas)) }}
{%- endmacro %}


{% macro bigquery__get_catalog_relations(information_schema, relations) -%}
    {%- if is_emulated() and relations -%}
        {%- set names = relations | map(attribute='identifier') | list -%}
        {%- set condition = "columns.table_name in ('" ~ names | join("', '") ~ "')" -%}
        {{ return(run_query(emulated_catalog(information_schema, condition))) }}
    {%- endif -%}
    {{ return(dbt_bigquery.bigquery__get_catalog_relations(information_schema, relations)) }}
{%- endmacro %}


{% macro emulated_catalog(information_schema, condition) %}
    select
        columns.table_catalog as table_database,
        columns.table_schema,
        columns.table_name,
        if(tables.table_type = 'VIEW', 'view', 'table') as table_type,
        '' as table_comment,
        columns.column_name,
        columns.ordinal_position as column_index,
        columns.data_type as column_type,
        '' as column_comment,
        cast(null as string) as table_owner
    from {{ information_schema.replace(information_schema_view='COLUMNS') }} as columns
    inner join {{ information_schema.replace(information_schema_view='TABLES') }} as tables
        on columns.table_name = tables.table_name
    where {{ condition }}
{% endmacro %}
