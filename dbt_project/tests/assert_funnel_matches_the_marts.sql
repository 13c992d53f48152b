with mart_rows as (
    select
        'python_qa_instructions' as mart,
        count(*) as row_count,
        countif(quality_reason is null) as kept
    from {{ ref('python_qa_instructions') }}
    union all
    select
        'python_qa_preferences' as mart,
        count(*) as row_count,
        countif(quality_reason is null) as kept
    from {{ ref('python_qa_preferences') }}
),

steps as (
    select
        *,
        lead(step) over (partition by mart order by step) is null as is_last
    from {{ ref('dataset_funnel') }}
    where true
    qualify build = max(build) over ()
)

select steps.*
from steps
inner join mart_rows
    on steps.mart = mart_rows.mart
where
    (steps.rule = 'question_open' and steps.rows_in != mart_rows.row_count)
    or (steps.is_last and steps.rows_out != mart_rows.kept)
