-- Each rule must start with the rows that the previous rule left, no rule but further_pairs may add rows, and the
-- last rule must leave the number of rows in the mart.
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

steps as (
    select
        *,
        lag(rows_out) over (partition by mart order by step) as previous_rows_out,
        lead(step) over (partition by mart order by step) is null as is_last
    from {{ ref('dataset_funnel') }}
)

select steps.*
from steps
inner join mart_rows
    on steps.mart = mart_rows.mart
where
    steps.rows_in != coalesce(steps.previous_rows_out, steps.rows_in)
    or (steps.rows_failing < 0 and steps.rule != 'further_pairs')
    or steps.rows_out != steps.rows_in - if(steps.is_applied, steps.rows_failing, 0)
    or (steps.is_last and steps.rows_out != mart_rows.row_count)
