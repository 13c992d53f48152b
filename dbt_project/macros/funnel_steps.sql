{% macro funnel_steps(mart, rules) %}
    {#- One row per rule (name, whether it applies, column of counts before it, column of counts after it), in order. -#}
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
