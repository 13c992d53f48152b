{# The expression must be true for every row. A row for which it is null fails. #}
{% test expression_is_true(model, expression) %}

select 1 as broken
from {{ model }}
where not coalesce({{ expression }}, false)

{% endtest %}
