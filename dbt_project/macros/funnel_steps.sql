{% macro funnel_steps(mart, rules) %}
    {#-
    Select one row per rule, in order. Each rule is (name, whether it applies, the column of `counts` before the rule, the
    column of `counts` after the rule).
    -#}
    {%- for rule, is_applied, count_in, count_passing in rules %}
    select
        '{{ mart }}' as mart,
        {{ loop.index }} as step,
        '{{ rule }}' as rule,
        {{ is_applied | lower }} as is_applied,
        cast(counts.{{ count_in }} as int64) as rows_in,
        cast(counts.{{ count_passing }} as int64) as rows_passing
    from counts
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{% endmacro %}
