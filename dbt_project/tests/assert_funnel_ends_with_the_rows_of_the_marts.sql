with mart_rows as (
    select
        'python_qa_instructions' as mart,
        count(*) as row_count
    from {{ ref('python_qa_instructions') }}
    union all
    select
        'python_qa_preferences' as mart,
        count(*) as row_count
    from {{ ref('python_qa_preferences') }}
),

last_steps as (
    select
        mart,
        rule,
        rows_out
    from {{ ref('dataset_funnel') }}
    where true
    qualify row_number() over (partition by mart order by build desc, step desc) = 1
)

select
    last_steps.*,
    mart_rows.row_count
from last_steps
inner join mart_rows
    on last_steps.mart = mart_rows.mart
where last_steps.rows_out != mart_rows.row_count
