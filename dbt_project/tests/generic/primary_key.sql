{# The column and the columns in `with` must together be unique and not null. Replaces two tests of dbt by one query. #}
{% test primary_key(model, column_name, with=[]) %}
{%- set columns = with + [column_name] %}

select
    {{ columns | join(',\n    ') }},
    count(*) as occurrences
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 or {{ columns | join(' is null or ') }} is null

{% endtest %}
