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

final as (
    select
        questions.* except (author_name, exclusion_reason),
        coalesce(users.display_name, questions.author_name) as author_name
    from questions
    left join users
        on questions.author_id = users.user_id
    where
        {{ has_tag('questions.tags') }}
        and questions.exclusion_reason is null
        and not {{ is_denied('questions.question_id') }}
)

select * from final
