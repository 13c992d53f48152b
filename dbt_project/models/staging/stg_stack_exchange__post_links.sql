with post_links as (
    select * from {{ source('stack_exchange', 'post_links') }}
),

final as (
    select
        id as post_link_id,
        post_id,
        related_post_id,
        link_type_id = 3 as is_duplicate,
        creation_date as created_at
    from post_links
)

select * from final
