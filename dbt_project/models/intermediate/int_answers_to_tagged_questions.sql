{# A table, so that only one query of a build reads the bodies of answers from the source. #}
{{ config(materialized='table', cluster_by=['answer_id']) }}

with answers as (
    select * from {{ ref('stg_stack_exchange__answers') }}
),

questions as (
    select
        question_id,
        accepted_answer_id,
        url,
        {{ is_about_python('tags') }} as is_about_python
    from {{ ref('int_questions_tagged') }}
),

accepted as (
    select
        accepted_answer_id as answer_id,
        logical_or(is_about_python) as is_about_python
    from questions
    where accepted_answer_id is not null
    group by accepted_answer_id
),

users as (
    select * from {{ ref('stg_stack_exchange__users') }}
),

denied_posts as (
    select * from {{ ref('denied_posts') }}
),

selected as (
    select
        answers.* except (author_name, url),
        coalesce(users.display_name, answers.author_name) as author_name,
        coalesce(answers.url, questions.url) as url,
        {{ text_length('answers.body') }} as text_length,
        {{ has_code_block('answers.body') }} as has_code,
        {{ is_link_only('answers.body') }} as is_link_only,
        {{ prose('answers.body') }} as prose,
        {{ without_literals(all_code('answers.body')) }} as bare_code,
        coalesce(questions.is_about_python, accepted.is_about_python) as is_about_python
    from answers
    left join questions
        on answers.question_id = questions.question_id
    left join accepted
        on answers.answer_id = accepted.answer_id
    left join users
        on answers.author_id = users.user_id
    where
        -- The second condition finds an accepted answer that was written to another question.
        (questions.question_id is not null or accepted.answer_id is not null)
        and not {{ is_denied('answers.answer_id') }}
),

final as (
    select
        * except (prose, bare_code, is_about_python),
        {{ leans_on_others('prose') }} as leans_on_others,
        is_about_python and {{ has_python2_code('body', 'bare_code') }} as has_python2_code
    from selected
)

select * from final
