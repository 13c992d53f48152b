{% macro is_public_dataset() %}
    {#- Return true if the raw tables are Google's copy of Stack Overflow, which has no `origin` table. -#}
    {{ return(not is_emulated() and raw_tables().raw_database == 'bigquery-public-data') }}
{% endmacro %}
