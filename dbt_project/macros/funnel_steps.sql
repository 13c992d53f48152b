{% macro funnel_steps(mart, pairs, rules) %}
    {#-
    Select one row per rule, in order. The filters follow the given rules. Each rule is (name, the variable that decides it or none, whether it applies, the
    count before the rule, the count after the rule). The counts are columns of `question_counts` and of the table `pairs`.
    -#}
    {%- for rule, variable_name, is_applied, count_in, count_passing in rules + (quality_steps() or []) %}
    select
        '{{ mart }}' as mart,
        {{ loop.index }} as step,
        '{{ rule }}' as rule,
        {{ text_literal(variable_name) if variable_name else 'cast(null as string)' }} as variable,
        {{ text_literal(value_text(variable_name)) if variable_name else 'cast(null as string)' }} as value,
        {{ is_applied | lower }} as is_applied,
        cast({{ count_in }} as int64) as rows_in,
        cast({{ count_passing }} as int64) as rows_passing
    from question_counts
    cross join {{ pairs }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{% endmacro %}
