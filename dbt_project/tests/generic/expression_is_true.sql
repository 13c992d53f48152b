{# A row for which the expression is null fails too. #}
{% test expression_is_true(model, expression) %}

select 1 as broken
from {{ model }}
where not coalesce({{ expression }}, false)

{% endtest %}
