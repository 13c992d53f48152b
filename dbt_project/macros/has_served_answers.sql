{% macro has_served_answers() %}
    {#-
    Return whether a log of served answers was loaded. Without a connection, which `dbt compile` may lack, the answer is
    true.
    -#}
    {%- if not execute or flags.WHICH not in ('build', 'run', 'test', 'retry') -%}
        {{ return(true) }}
    {%- endif -%}
    {%- set answers = source('serving', 'served_answers') -%}
    {{ return(adapter.get_relation(
        database=answers.database, schema=answers.schema, identifier=answers.identifier
    ) is not none) }}
{% endmacro %}
