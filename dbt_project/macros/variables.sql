{# The one place where variables are read and checked: models write {{ variable('since') }}, never var(). #}


{% macro variable(name) %}
    {#- The checked value of one variable; a wrong one stops dbt with one line that names it. -#}
    {%- set value = (var(name) | string) if name == 'since' else var(name) -%}
    {%- set fault = variable_fault(name, value) -%}
    {%- if fault -%}
        {{ exceptions.raise_compiler_error("variable " ~ name ~ ": " ~ fault ~ ", not " ~ tojson(value)) }}
    {%- endif -%}
    {{ return(value) }}
{% endmacro %}


{% macro variable_fault(name, value) %}
    {#- What is wrong with a value, as text; empty when nothing is. -#}
    {%- if name == 'tag_pattern' and (value is not string or value == '' or '\0' in value) -%}
        {{ return('a RE2 pattern is needed') }}
    {%- elif name == 'instruction_template' and (value is not string or '\0' in value) -%}
        {{ return('a text is needed') }}
    {%- elif name == 'since' and not is_date(value) -%}
        {{ return('a date written YYYY-MM-DD is needed') }}
    {%- elif name == 'minimum_answer_score' and value is not none and value is not integer -%}
        {{ return('a whole number or null is needed') }}
    {%- elif name == 'match_parent' and value is not boolean -%}
        {{ return('true or false is needed') }}
    {%- elif name == 'preference_vote_gap' and (value is not integer or value < 1) -%}
        {{ return('a whole number of at least 1 is needed') }}
    {%- endif -%}
    {{ return('') }}
{% endmacro %}


{% macro is_date(text) %}
    {%- if not modules.re.fullmatch('[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]', text) or text[:4] == '0000' -%}
        {{ return(false) }}
    {%- endif -%}
    {#- The 31st of a short month lands in the next one. -#}
    {%- set first = modules.datetime.date(text[:4] | int, text[5:7] | int, 1) -%}
    {%- set day = text[8:] | int -%}
    {{ return(day > 0 and (first + modules.datetime.timedelta(days=day - 1)).month == first.month) }}
{% endmacro %}


{% macro variables() %}
    {#- Every variable with its effective value, in alphabetical order. -#}
    {%- set effective = {} -%}
    {%- for name in var('defaults') | sort -%}
        {%- do effective.update({name: variable(name)}) -%}
    {%- endfor -%}
    {{ return(effective) }}
{% endmacro %}


{% macro raw_tables() %}
    {#- Where the raw tables are. These two become quoted names in the SQL, so nothing but a name may stand there. -#}
    {%- set effective = {} -%}
    {%- for name, default in raw_table_defaults().items() -%}
        {%- set value = var(name, default) -%}
        {%- if value is not string or not modules.re.fullmatch('[A-Za-z0-9_.:-]+', value) -%}
            {{ exceptions.raise_compiler_error("variable " ~ name ~ ": a name is needed, not " ~ tojson(value)) }}
        {%- endif -%}
        {%- do effective.update({name: value}) -%}
    {%- endfor -%}
    {{ return(effective) }}
{% endmacro %}


{% macro raw_table_defaults() %}
    {{ return({
        'raw_database': env_var('TUNING_RAW_DATABASE', '') or 'bigquery-public-data',
        'raw_schema': env_var('TUNING_RAW_SCHEMA', '') or 'stackoverflow',
    }) }}
{% endmacro %}


{% macro overriding_variables() %}
    {#- The variables whose values are not the defaults; refuses names that the project does not know. -#}
    {%- set defaults = {} -%}
    {%- do defaults.update(var('defaults')) -%}
    {%- do defaults.update(raw_table_defaults()) -%}
    {%- for name, value in (invocation_args_dict.get('vars') or {}).items() -%}
        {%- if name not in defaults -%}
            {{ exceptions.raise_compiler_error("unknown variable " ~ name ~ "; the project knows " ~ defaults | sort | join(', ')) }}
        {%- elif value is string and modules.re.search('[{][{%#]|[#}%][}]', value) -%}
            {#- var() would run it as a template of its own. -#}
            {{ exceptions.raise_compiler_error("variable " ~ name ~ ": it may not hold marks of Jinja, such as two braces in a row") }}
        {%- endif -%}
    {%- endfor -%}
    {%- set effective = variables() -%}
    {%- do effective.update(raw_tables()) -%}
    {%- set overriding = {} -%}
    {%- for name, value in effective.items() if value != defaults[name] -%}
        {%- do overriding.update({name: value}) -%}
    {%- endfor -%}
    {{ return(overriding) }}
{% endmacro %}
