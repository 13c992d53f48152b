with steps as (
    select
        *,
        lag(rows_out) over (partition by build, mart order by step) as previous_rows_out
    from {{ ref('dataset_funnel') }}
)

select *
from steps
where
    rows_in != coalesce(previous_rows_out, rows_in)
    or (rows_failing < 0 and rule != 'further_pairs')
    or rows_out != rows_in - if(is_applied, rows_failing, 0)
