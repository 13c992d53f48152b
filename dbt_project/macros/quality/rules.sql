{#
The filters. A row of a mart that fails one stays there and gets a quality_reason. The export leaves it out and counts it.
Models, funnel and tests use the same list.
#}


{% macro quality_rules(answers='answers') %}
    {#-
    Return the filters in order: the name of the rule, the reason of a row that fails it, the variable that decides it,
    whether it is applied, and its condition. The column is_RULE has the result of the condition. `answers` is the table
    with the answer to judge.
    -#}
    {{ return([
        switched_rule('question_open', 'closed question', 'closed_questions',
            'questions.is_closed and not questions.is_duplicate'),
        switched_rule('question_not_duplicate', 'duplicate question', 'duplicate_questions', 'questions.is_duplicate'),
        minimum_rule('question_score_enough', 'low question score', 'minimum_question_score', 'questions.score'),
        minimum_rule('answer_score_enough', 'low answer score', 'minimum_answer_score', answers ~ '.score'),
        minimum_rule('question_long_enough', 'short question', 'minimum_question_length', 'questions.text_length'),
        minimum_rule('answer_long_enough', 'short answer', 'minimum_answer_length', answers ~ '.text_length'),
        switched_rule('question_without_picture', 'question needs its picture', 'picture_questions', 'questions.needs_picture'),
        switched_rule('answer_alone', 'answer leans on other posts', 'leaning_answers', answers ~ '.leans_on_others'),
        switched_rule('answer_not_python2', 'Python 2 code', 'python2_answers', answers ~ '.has_python2_code'),
    ]) }}
{% endmacro %}


{% macro switched_rule(name, reason, variable_name, fault) %}
    {{ return({
        'name': name,
        'reason': reason,
        'variable': variable_name,
        'is_applied': variable(variable_name) == 'drop',
        'condition': 'not coalesce(' ~ fault ~ ', false)',
    }) }}
{% endmacro %}


{% macro minimum_rule(name, reason, variable_name, value) %}
    {%- set minimum = variable(variable_name) -%}
    {{ return({
        'name': name,
        'reason': reason,
        'variable': variable_name,
        'is_applied': minimum is not none,
        'condition': 'true' if minimum is none else 'coalesce(' ~ value ~ ' >= ' ~ minimum ~ ', false)',
    }) }}
{% endmacro %}


{% macro quality_columns(answers='answers') %}
    {#- Select the result of each rule for the rows of `questions` and of the table `answers`. -#}
    {%- for rule in quality_rules(answers) %}
        {{ rule.condition }} as is_{{ rule.name }}{{ ',' if not loop.last }}
    {%- endfor %}
{% endmacro %}


{% macro quality_reason() %}
    {#- The reason of the first rule that is applied and that the row fails, or null. -#}
    {%- set applied = quality_rules() | selectattr('is_applied') | list -%}
    {%- if applied -%}
        case
            {%- for rule in applied %}
            when not is_{{ rule.name }} then {{ text_literal(rule.reason) }}
            {%- endfor %}
        end
    {%- else -%}
        cast(null as string)
    {%- endif -%}
{% endmacro %}


{% macro quality_counts() %}
    {#- Count, for each rule, the rows that reach it and those that meet it. A rule that is not applied removes no row. -#}
    {%- set reached = ['is_kept'] -%}
    {%- for rule in quality_rules() %}
        countif({{ reached | join(' and ') }}) as before_{{ rule.name }},
        countif({{ (reached + ['is_' ~ rule.name]) | join(' and ') }}) as after_{{ rule.name }}{{ ',' if not loop.last }}
        {%- if rule.is_applied -%}
            {%- do reached.append('is_' ~ rule.name) -%}
        {%- endif -%}
    {%- endfor %}
{% endmacro %}


{% macro quality_steps() %}
    {#- Return the rules as arguments of funnel_steps. -#}
    {%- set steps = [] -%}
    {%- for rule in quality_rules() -%}
        {%- do steps.append((rule.name, rule.variable, rule.is_applied, 'before_' ~ rule.name, 'after_' ~ rule.name)) -%}
    {%- endfor -%}
    {{ return(steps) }}
{% endmacro %}


{% macro require_every_rule(variables) %}
    {#- Stop if a rule's variable is not among these. A test that lists the filters calls this. -#}
    {%- set missing = quality_rules() | map(attribute='variable') | reject('in', variables) | list -%}
    {%- if missing -%}
        {{ exceptions.raise_compiler_error("add to the filters of this test: " ~ missing | join(", ")) }}
    {%- endif -%}
{% endmacro %}
