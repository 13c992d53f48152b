{% macro job_labels(node) %}
    {#- Return the JSON that labels a query. dbt adds it as a comment and as job labels. -#}
    {%- set labels = {'app': 'dbt', 'project': project_name, 'target_name': target.name, 'invocation_id': invocation_id} -%}
    {%- if node is not none -%}
        {%- do labels.update({'resource_type': node.resource_type, 'node_name': node.name}) -%}
    {%- endif -%}
    {{ return(tojson(labels)) }}
{% endmacro %}
