{{ config(severity='warn') }}
{%- set lowest_share = 0.8 %}

with latest as (
    select * from {{ ref('dataset_funnel') }}
    where true
    qualify build = max(build) over ()
),

before as (
    select earlier.*
    from {{ ref('dataset_funnel') }} as earlier
    inner join latest
        on
            earlier.mart = latest.mart
            and earlier.rule = latest.rule
            and earlier.variables = latest.variables
            and earlier.site = latest.site
            and earlier.tag_filter = latest.tag_filter
            and earlier.build < latest.build
    where true
    qualify row_number() over (partition by earlier.mart, earlier.rule order by earlier.build desc) = 1
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
