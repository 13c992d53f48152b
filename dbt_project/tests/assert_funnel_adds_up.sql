-- Each rule must start with the rows that the previous rule left, and no rule but `further_pairs` may add rows. The first
-- filter must start with all rows of the mart, and the last filter must leave the rows without a quality_reason. The marts
-- are those of the latest build.
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
        build = max(build) over () as is_latest,
        lag(rows_out) over (partition by build, mart order by step) as previous_rows_out,
        lead(step) over (partition by build, mart order by step) is null as is_last
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
    or (steps.is_latest and steps.rule = 'question_open' and steps.rows_in != mart_rows.row_count)
    or (steps.is_latest and steps.is_last and steps.rows_out != mart_rows.kept)
