{# The expression, which is about the column, must be true for every row. A row for which it is null fails. #}
{% test expression_is_true(model, column_name, expression) %}

select {{ column_name }}
from {{ model }}
where not coalesce({{ expression }}, false)

{% endtest %}
