with questions as (
    select
        question_id,
        accepted_answer_id,
        score,
        is_closed,
        is_duplicate,
        text_length,
        needs_picture
    from {{ ref('int_questions_tagged') }}
    where accepted_answer_id is not null
),

answers as (
    select
        answer_id,
        question_id,
        score,
        created_at,
        text_length,
        leans_on_others,
        has_python2_code,
        exclusion_reason
    from {{ ref('int_answers_to_tagged_questions') }}
),

denied_posts as (
    select * from {{ ref('denied_posts') }}
),

checked as (
    select
        questions.question_id,
        questions.accepted_answer_id as answer_id,
        answers.answer_id is not null as is_answer_in_source,
        answers.exclusion_reason as answer_exclusion_reason,
        {{ is_new_enough('answers.created_at') }} as is_answer_new_enough,
        coalesce(answers.question_id = questions.question_id, false) as is_answer_to_this_question,
        {{ quality_columns() }}
    from questions
    left join answers
        on questions.accepted_answer_id = answers.answer_id
    where not {{ is_denied('questions.accepted_answer_id') }}
),

final as (
    select
        concat(cast(question_id as string), '-', cast(answer_id as string)) as example_id,
        *,
        is_answer_in_source
        and answer_exclusion_reason is null
        and is_answer_new_enough
        and {{ is_parent_enough('is_answer_to_this_question') }} as is_kept,
        {{ quality_reason() }} as quality_reason
    from checked
)

select * from final
