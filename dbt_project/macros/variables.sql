{# Reads and checks the variables. Models must use {{ variable('since') }} and never var(). #}


{% macro variable(name) %}
    {#- Return the value of a variable. A wrong value stops dbt with one line that names the variable. -#}
    {%- set value = (var(name) | string) if name == 'since' else var(name) -%}
    {%- set fault = variable_fault(name, value) -%}
    {%- if fault -%}
        {{ exceptions.raise_compiler_error("variable " ~ name ~ " " ~ fault ~ ", not " ~ tojson(value)) }}
    {%- endif -%}
    {{ return(value) }}
{% endmacro %}


{% macro value_text(name) %}
    {#- Return the value of a variable as the funnel shows it: a text as it is, other values as JSON. -#}
    {%- set value = variable(name) -%}
    {{ return(value if value is string else tojson(value)) }}
{% endmacro %}


{% macro variable_fault(name, value) %}
    {#- Return what a variable must be if the value is wrong, and '' if it is right. -#}
    {%- if name == 'tag_pattern' and (value is not string or value == '' or '\0' in value) -%}
        {{ return('must be an RE2 pattern') }}
    {%- elif name == 'instruction_template' and (value is not string or '\0' in value) -%}
        {{ return('must be a text') }}
    {%- elif name == 'since' and not is_date(value) -%}
        {{ return('must be a date (YYYY-MM-DD)') }}
    {%- elif name.startswith('minimum_') and name.endswith('_score') -%}
        {{ return('' if is_int64_or_none(value) else 'must be a whole number or null') }}
    {%- elif name.startswith('minimum_') and (not is_int64_or_none(value) or (value is not none and value < 0)) -%}
        {{ return('must be a whole number of at least 0, or null') }}
    {%- elif default_values()[name] in ('keep', 'drop') and value not in ('keep', 'drop') -%}
        {{ return('must be keep or drop') }}
    {%- elif name == 'match_parent' and value is not boolean -%}
        {{ return('must be true or false') }}
    {%- elif name == 'exclude_user' and (
        value is string or value is mapping or value is not iterable or value | reject('integer') | list
    ) -%}
        {{ return('must be a list of user IDs') }}
    {%- elif name in ('preference_vote_gap', 'pairs_per_question') and (value is not integer or value < 1) -%}
        {{ return('must be a whole number of at least 1') }}
    {%- endif -%}
    {{ return('') }}
{% endmacro %}


{% macro default_values() %}
    {#- Return the default of every variable. `defaults` itself is no variable that a build can have. -#}
    {%- if 'defaults' in (invocation_args_dict.get('vars') or {}) -%}
        {{ exceptions.raise_compiler_error("variable defaults cannot be set; it has the defaults of the others, in dbt_project.yml") }}
    {%- endif -%}
    {{ return(var('defaults')) }}
{% endmacro %}


{% macro is_int64_or_none(value) %}
    {{ return(value is none or (value is integer and -9223372036854775808 <= value <= 9223372036854775807)) }}
{% endmacro %}


{% macro is_date(text) %}
    {%- if not modules.re.fullmatch('[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]', text) or text[:4] == '0000' -%}
        {{ return(false) }}
    {%- endif -%}
    {#- If the day does not exist in this month, the sum is a date in the next month. -#}
    {%- set first = modules.datetime.date(text[:4] | int, text[5:7] | int, 1) -%}
    {%- set day = text[8:] | int -%}
    {{ return(day > 0 and (first + modules.datetime.timedelta(days=day - 1)).month == first.month) }}
{% endmacro %}


{% macro variables() %}
    {#- Return every variable with its effective value, in alphabetical order. -#}
    {%- set effective = {} -%}
    {%- for name in default_values() | sort -%}
        {%- do effective.update({name: variable(name)}) -%}
    {%- endfor -%}
    {{ return(effective) }}
{% endmacro %}


{% macro raw_tables() %}
    {#- Return the project and dataset of the raw tables. Both become quoted names in SQL, so they must be names. -#}
    {%- set effective = {} -%}
    {%- for name, default in raw_table_defaults().items() -%}
        {%- set value = var(name, default) -%}
        {%- if value is not string or not modules.re.fullmatch('[A-Za-z0-9_.:-]+', value) -%}
            {{ exceptions.raise_compiler_error(
                "variable " ~ name ~ " must be a name of letters, digits and _ . : -, not " ~ tojson(value)
            ) }}
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
    {#- Return the variables whose values differ from the defaults. An unknown variable stops dbt. -#}
    {%- set defaults = {} -%}
    {%- do defaults.update(default_values()) -%}
    {%- do defaults.update(raw_table_defaults()) -%}
    {%- for name, value in (invocation_args_dict.get('vars') or {}).items() -%}
        {%- if name not in defaults -%}
            {{ exceptions.raise_compiler_error("unknown variable " ~ name ~ "; choose one of: " ~ defaults | sort | join(', ')) }}
        {%- elif value is string and modules.re.search('[{][{%#]|[#}%][}]', value) -%}
            {#- var() would run the value as a Jinja template. -#}
            {{ exceptions.raise_compiler_error("variable " ~ name ~ " must not contain Jinja delimiters, such as two braces in a row") }}
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
