with questions as (
    select
        question_id,
        accepted_answer_id,
        coalesce({{ has_tag('tags') }}, false) as is_tagged
    from {{ ref('stg_stack_exchange__questions') }}
),

denied_posts as (
    select * from {{ ref('denied_posts') }}
),

accepted_pairs as (
    select * from {{ ref('int_accepted_pairs') }}
),

preference_pairs as (
    select * from {{ ref('int_preference_pairs') }}
),


judged_questions as (
    select
        question_id,
        accepted_answer_id,
        is_tagged,
        exists (select 1 from denied_posts where denied_posts.post_id = questions.question_id) as is_denied,
        exists (select 1 from denied_posts where denied_posts.post_id = questions.accepted_answer_id) as is_answer_denied
    from questions
),

question_counts as (
    select
        count(*) as all_questions,
        countif(is_tagged) as tagged,
        countif(is_tagged and not is_denied) as allowed,
        countif(is_tagged and not is_denied and accepted_answer_id is not null) as accepted,
        countif(is_tagged and not is_denied and accepted_answer_id is not null and not is_answer_denied) as answer_allowed
    from judged_questions
),

pair_counts as (
    select
        countif(is_answer_in_source) as in_source,
        countif(is_answer_in_source and is_answer_new_enough) as new_enough,
        countif(is_answer_in_source and is_answer_new_enough and is_answer_score_enough) as score_enough,
        countif(
            is_answer_in_source and is_answer_new_enough and is_answer_score_enough and is_answer_to_this_question
        ) as to_this_question
    from accepted_pairs
),

preference_counts as (
    select
        count(*) as with_two_answers,
        countif(is_chosen_score_enough) as chosen_score_enough,
        countif(is_chosen_score_enough and is_vote_gap_enough) as gap_enough
    from preference_pairs
),

steps as (
    select
        step.mart,
        step.step,
        step.rule,
        step.is_applied,
        step.rows_in,
        step.rows_passing
    from question_counts
    cross join pair_counts
    cross join preference_counts
    cross join
        unnest([
            struct('python_qa_instructions' as mart, 1 as step, 'question_has_tag' as rule, true as is_applied, all_questions as rows_in, tagged as rows_passing),
            ('python_qa_instructions', 2, 'question_not_denied', true, tagged, allowed),
            ('python_qa_instructions', 3, 'question_has_accepted_answer', true, allowed, accepted),
            ('python_qa_instructions', 4, 'answer_not_denied', true, accepted, answer_allowed),
            ('python_qa_instructions', 5, 'answer_in_source', true, answer_allowed, in_source),
            ('python_qa_instructions', 6, 'answer_new_enough', true, in_source, new_enough),
            ('python_qa_instructions', 7, 'answer_score_enough', true, new_enough, score_enough),
            ('python_qa_instructions', 8, 'answer_to_this_question', {{ variable('match_parent') }}, score_enough, to_this_question),
            ('python_qa_preferences', 1, 'question_has_tag', true, all_questions, tagged),
            ('python_qa_preferences', 2, 'question_not_denied', true, tagged, allowed),
            ('python_qa_preferences', 3, 'question_has_two_answers', true, allowed, with_two_answers),
            ('python_qa_preferences', 4, 'chosen_score_enough', true, with_two_answers, chosen_score_enough),
            ('python_qa_preferences', 5, 'vote_gap_enough', true, chosen_score_enough, gap_enough)
        ]) as step
),

final as (
    select
        mart,
        step,
        rule,
        is_applied,
        cast(rows_in as int64) as rows_in,
        cast(rows_in - rows_passing as int64) as rows_failing,
        cast(if(is_applied, rows_passing, rows_in) as int64) as rows_out
    from steps
)

select * from final
