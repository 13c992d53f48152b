{% macro generate_alias_name(custom_alias_name=none, node=none) %}
    {#-
    Return the name of the table. The latest version of a model has the model's name, and an older version has a suffix
    such as _v1. So a query that names no version reads the latest one, like ref() without a version.
    -#}
    {%- set name = custom_alias_name | trim if custom_alias_name else node.name -%}
    {%- if node.version and node.version != node.latest_version and not custom_alias_name -%}
        {%- set name = name ~ '_v' ~ (node.version | string | replace('.', '_')) -%}
    {%- endif -%}
    {{ return(name) }}
{% endmacro %}
