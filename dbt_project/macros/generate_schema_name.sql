{% macro generate_schema_name(custom_schema_name, node) %}
    {#-
    Return the BigQuery dataset of the build. A build with other variables than the defaults uses a separate dataset, so
    that an experiment never overwrites the marts. The same variables always give the same dataset.
    -#}
    {%- set overriding = overriding_variables() -%}
    {%- set dataset = target.schema -%}
    {%- if overriding -%}
        {%- set dataset = dataset ~ '_' ~ local_md5(tojson(overriding, sort_keys=true))[:8] -%}
    {%- endif -%}
    {{ return(dataset if custom_schema_name is none else dataset ~ '_' ~ (custom_schema_name | trim)) }}
{% endmacro %}
