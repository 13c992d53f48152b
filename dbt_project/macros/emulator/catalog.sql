{#
The adapter builds the catalog of the docs from __TABLES__, which the emulator does not have. If an endpoint is set, these
macros build it from INFORMATION_SCHEMA.TABLES and COLUMNS, and partitions, clustering and labels from the project. Otherwise the
adapter's own macros run.
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
        {%- for name, label, description, values in storage_of_models() if values %},
        case concat(columns.table_schema, '.', columns.table_name)
            {%- for table, value in values.items() %}
            when {{ text_literal(table) }} then {{ text_literal(value) }}
            {%- endfor %}
        end as stats__{{ name }}__value,
        '{{ label }}' as stats__{{ name }}__label,
        '{{ description }}' as stats__{{ name }}__description,
        concat(columns.table_schema, '.', columns.table_name) in unnest([
            {%- for table in values %}{{ text_literal(table) }}{{ '' if loop.last else ', ' }}{% endfor -%}
        ]) as stats__{{ name }}__include
        {%- endfor %}
    from {{ information_schema.replace(information_schema_view='COLUMNS') }} as columns
    inner join {{ information_schema.replace(information_schema_view='TABLES') }} as tables
        on columns.table_name = tables.table_name
    where {{ condition }}
{% endmacro %}


{% macro storage_of_models() %}
    {#- Return (name, label, description, values) per fact that the docs show. `values` has the text of each table. -#}
    {%- set partitions, clusters, labels = {}, {}, {} -%}
    {%- for node in graph.nodes.values() if node.resource_type in ('model', 'seed') -%}
        {%- set table, config = node.schema ~ '.' ~ node.alias, node.config -%}
        {%- if config.get('partition_by') -%}
            {%- do partitions.update({table: config.partition_by.field ~ ' by ' ~ config.partition_by.get('granularity', 'day')}) -%}
        {%- endif -%}
        {%- if config.get('cluster_by') -%}
            {%- do clusters.update({table: config.cluster_by | join(', ')}) -%}
        {%- endif -%}
        {%- if config.get('labels') -%}
            {%- set pairs = [] -%}
            {%- for label, value in config.labels.items() -%}
                {%- do pairs.append(label ~ ': ' ~ value) -%}
            {%- endfor -%}
            {%- do labels.update({table: pairs | join(', ')}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return([
        ('partitioning_type', 'Partitioned By', 'The partitioning column for this table', partitions),
        ('clustering_fields', 'Clustered By', 'The clustering columns for this table', clusters),
        ('labels', 'Labels', 'The labels of this table', labels),
    ]) }}
{% endmacro %}
