with
{% if is_public_dataset() %}
origin as (
    -- The copy of Google has not changed since this date. It has no table that states its origin.
    select
        'stackoverflow.com' as site,
        'stack_exchange' as kind,
        'Stack Overflow' as name,
        'https://stackoverflow.com' as base_url,
        'CC BY-SA' as license,
        'https://creativecommons.org/licenses/by-sa/4.0/' as license_url,
        'bigquery-public-data.stackoverflow' as source,
        '' as tag_filter,
        'bigquery-public-data.stackoverflow of 2022-09-25' as digest,
        cast(null as int64) as questions,
        cast(null as int64) as answers,
        '' as exclude_user
),
{% else %}
origin as (
    select * from {{ source('stack_exchange', 'origin') }}
),
{% endif %}

final as (
    select
        site,
        kind,
        name,
        base_url,
        license,
        license_url,
        source,
        tag_filter,
        digest,
        questions,
        answers,
        exclude_user
    from origin
)

select * from final
