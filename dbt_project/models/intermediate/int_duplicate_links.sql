with duplicates as (
    select
        post_id,
        related_post_id
    from {{ ref('stg_stack_exchange__post_links') }}
    where is_duplicate
),

both_directions as (
    select
        post_id as question_id,
        related_post_id as linked_question_id
    from duplicates
    union distinct
    select
        related_post_id as question_id,
        post_id as linked_question_id
    from duplicates
),

final as (
    select
        question_id,
        array_agg(linked_question_id order by linked_question_id) as linked_question_ids
    from both_directions
    where question_id != linked_question_id
    group by question_id
)

select * from final
