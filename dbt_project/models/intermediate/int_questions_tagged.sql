{# A table, so that only one query of a build reads the titles and bodies of questions from the source. #}
{{ config(materialized='table', cluster_by=['question_id']) }}

with questions as (
    select * from {{ ref('stg_stack_exchange__questions') }}
),

users as (
    select * from {{ ref('stg_stack_exchange__users') }}
),

denied_posts as (
    select * from {{ ref('denied_posts') }}
),

duplicates as (
    select distinct post_id
    from {{ ref('stg_stack_exchange__post_links') }}
    where is_duplicate
),

tagged as (
    select
        questions.* except (author_name, exclusion_reason),
        coalesce(users.display_name, questions.author_name) as author_name,
        duplicates.post_id is not null as is_duplicate,
        {{ text_length('questions.body') }} as text_length,
        {{ has_code_block('questions.body') }} as has_code,
        {{ prose('questions.body') }} as prose
    from questions
    left join users
        on questions.author_id = users.user_id
    left join duplicates
        on questions.question_id = duplicates.post_id
    where
        {{ has_tag('questions.tags') }}
        and questions.exclusion_reason is null
        and not {{ is_denied('questions.question_id') }}
),

final as (
    select
        * except (prose),
        {{ needs_picture('body', 'prose', 'text_length', 'has_code') }} as needs_picture
    from tagged
)

select * from final
