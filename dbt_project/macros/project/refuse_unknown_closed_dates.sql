{% macro refuse_unknown_closed_dates() %}
    {#- Stop if closed questions are to be left out and the source does not say which questions are closed. -#}
    {%- if execute and variable('closed_questions') == 'drop' and not has_closed_dates() -%}
        {{ exceptions.raise_compiler_error(
            "variable closed_questions must be keep, because the source does not say which questions are closed. The"
            ~ " public dataset never does; a dump does after `invoke ingest` has loaded it again"
        ) }}
    {%- endif -%}
{% endmacro %}
