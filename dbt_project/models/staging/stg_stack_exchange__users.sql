with users as (
    select * from {{ source('stack_exchange', 'users') }}
),

final as (
    select
        id as user_id,
        display_name,
        creation_date as created_at
    from users
)

select * from final
