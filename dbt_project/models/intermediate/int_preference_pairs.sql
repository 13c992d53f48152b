with answers as (
    select
        question_id,
        answer_id,
        score,
        text_length,
        leans_on_others,
        has_python2_code
    from {{ ref('int_answers_to_tagged_questions') }}
    where
        {{ is_new_enough('created_at') }}
        and exclusion_reason is null
),

questions as (
    select
        question_id,
        accepted_answer_id,
        score,
        is_closed,
        is_duplicate,
        text_length,
        needs_picture
    from {{ ref('int_questions_tagged') }}
),

ranked as (
    select
        answers.*,
        count(*) over (partition by answers.question_id) as answer_count,
        row_number() over (
            partition by answers.question_id
            order by
                coalesce(answers.answer_id = questions.accepted_answer_id, false) desc,
                answers.score desc,
                answers.answer_id asc
        ) as rank_from_best,
        row_number() over (
            partition by answers.question_id
            order by
                coalesce(answers.answer_id = questions.accepted_answer_id, false) asc,
                answers.score asc,
                answers.answer_id desc
        ) as rank_from_worst
    from answers
    inner join questions
        on answers.question_id = questions.question_id
),

best as (
    select * from ranked
    where
        rank_from_best <= {{ variable('pairs_per_question') }}
        and 2 * rank_from_best <= answer_count -- so that no answer is in two pairs
),

worst as (
    select * from ranked
),

checked as (
    select
        best.question_id,
        best.answer_id as chosen_answer_id,
        worst.answer_id as rejected_answer_id,
        best.score - worst.score as vote_gap,
        best.score - worst.score >= {{ variable('preference_vote_gap') }} as is_vote_gap_enough,
        {{ quality_columns(answers='best') }}
    from best
    inner join worst
        on
            best.question_id = worst.question_id
            and best.rank_from_best = worst.rank_from_worst
    inner join questions
        on best.question_id = questions.question_id
),

final as (
    select
        *,
        is_vote_gap_enough as is_kept,
        {{ quality_reason() }} as quality_reason
    from checked
)

select * from final
