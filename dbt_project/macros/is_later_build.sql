{% macro is_later_build() %}
    {#-
    Return true if the table of an incremental model has earlier builds. `dbt compile` prints the query of a first build,
    because is_incremental() connects, and compile does not have to.
    -#}
    {{ return(flags.WHICH != 'compile' and is_incremental()) }}
{% endmacro %}
