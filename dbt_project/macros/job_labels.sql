{% macro job_labels(node) %}
    {#- What a query says about itself, as a comment and as job labels. -#}
    {%- set labels = {'app': 'dbt', 'project': project_name, 'target_name': target.name, 'invocation_id': invocation_id} -%}
    {%- if node is not none -%}
        {%- do labels.update({'resource_type': node.resource_type, 'node_name': node.name}) -%}
    {%- endif -%}
    {{ return(tojson(labels)) }}
{% endmacro %}
