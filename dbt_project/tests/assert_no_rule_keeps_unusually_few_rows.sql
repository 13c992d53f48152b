{{ config(severity='warn') }}
{%- set lowest_share = 0.8 %}

with builds as (
    select * from {{ ref('dataset_funnel') }}
),

latest as (
    select * from builds
    where build = (select max(build) from builds)
),

before as (
    select builds.*
    from builds
    inner join latest
        on
            builds.mart = latest.mart
            and builds.rule = latest.rule
            and builds.variables = latest.variables
            and builds.site = latest.site
            and builds.tag_filter = latest.tag_filter
            and builds.build < latest.build
    where true
    qualify row_number() over (partition by builds.mart, builds.rule order by builds.build desc) = 1
)

select
    latest.mart,
    latest.rule,
    before.build as earlier_build,
    before.rows_out as earlier_rows_out,
    latest.rows_out
from latest
inner join before
    on
        latest.mart = before.mart
        and latest.rule = before.rule
where latest.rows_out < {{ lowest_share }} * before.rows_out
