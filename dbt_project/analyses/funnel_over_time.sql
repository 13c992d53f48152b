-- Show how many rows each rule kept in every build, and the difference to the build before. Run it with:
-- dbt show --select funnel_over_time --limit 100
select
    mart,
    step,
    rule,
    build,
    rows_out,
    rows_out - lag(rows_out) over (partition by mart, rule order by build) as difference
from {{ ref('dataset_funnel') }}
order by mart, step, rule, build
