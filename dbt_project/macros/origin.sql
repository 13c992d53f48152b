{% macro is_public_dataset() %}
    {#- True where the raw tables are Google's copy of Stack Overflow, which has no table that says where it is from. -#}
    {{ return(not is_emulated() and raw_tables().raw_database == 'bigquery-public-data') }}
{% endmacro %}
