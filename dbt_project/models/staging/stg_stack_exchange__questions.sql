with posts as (
    select * from {{ source('stack_exchange', 'posts_questions') }}
),

origin as (
    select * from {{ ref('stg_stack_exchange__origin') }}
),

dated as (
    select
        *,
        coalesce(last_edit_date, creation_date) as last_revised_at,
        {{ stated_license() }} as stated_license
    from posts
),

final as (
    select
        dated.id as question_id,
        dated.accepted_answer_id,
        dated.title,
        dated.body,
        split(trim(dated.tags, '|'), '|') as tags,
        dated.score,
        dated.creation_date as created_at,
        dated.last_revised_at,
        {{ post_license('dated.last_revised_at', 'dated.stated_license') }} as license,
        {{ post_license_url('dated.last_revised_at', 'dated.stated_license') }} as license_url,
        dated.owner_user_id as author_id,
        dated.owner_display_name as author_name,
        {{ author_url('dated.owner_user_id') }} as author_url,
        {{ post_url('questions', 'dated.id') }} as url,
        dated.comment_count,
        dated.view_count,
        dated.community_owned_date is not null as is_community_wiki,
        {{ is_closed() }} as is_closed,
        {{ exclusion_reason('dated.id', 'dated.owner_user_id', 'dated.stated_license') }} as exclusion_reason
    from dated
    cross join origin
)

select * from final
