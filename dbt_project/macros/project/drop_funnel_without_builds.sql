{% macro drop_funnel_without_builds() %}
    {#- Drop the table dataset_funnel of an older version of this project. It held one build, without a number. -#}
    {%- if execute and flags.WHICH in ('run', 'build') -%}
        {%- set funnel = graph.nodes['model.' ~ project_name ~ '.dataset_funnel'] -%}
        {%- set relation = adapter.get_relation(
            database=funnel.database, schema=funnel.schema, identifier=funnel.alias
        ) -%}
        {%- if relation is not none -%}
            {%- if 'build' not in adapter.get_columns_in_relation(relation) | map(attribute='name') -%}
                {%- do adapter.drop_relation(relation) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
