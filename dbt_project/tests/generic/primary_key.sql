{# The columns must not be null, and their combination must be unique. Replaces two tests of dbt by one query. #}
{% test primary_key(model, columns) %}

select
    {{ columns | join(',\n    ') }},
    count(*) as occurrences
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 or {{ columns | join(' is null or ') }} is null

{% endtest %}
