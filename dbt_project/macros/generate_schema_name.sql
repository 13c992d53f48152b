{% macro generate_schema_name(custom_schema_name, node) %}
    {#-
    One dataset for the data team's build; a build whose variables differ gets its own, so that an experiment never
    overwrites the marts. The same variables always name the same dataset.
    -#}
    {%- set overriding = overriding_variables() -%}
    {%- set dataset = target.schema -%}
    {%- if overriding -%}
        {%- set dataset = dataset ~ '_' ~ local_md5(tojson(overriding, sort_keys=true))[:8] -%}
    {%- endif -%}
    {{ return(dataset if custom_schema_name is none else dataset ~ '_' ~ (custom_schema_name | trim)) }}
{% endmacro %}
