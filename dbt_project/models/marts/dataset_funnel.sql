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

checked_questions as (
    select
        question_id,
        is_tagged,
        accepted_answer_id is not null as is_answered,
        {{ is_denied('questions.question_id') }} as is_denied,
        {{ is_denied('questions.accepted_answer_id') }} as is_answer_denied
    from questions
),

question_counts as (
    select
        count(*) as all_questions,
        countif(is_tagged) as tagged,
        countif(is_tagged and not is_denied) as allowed,
        countif(is_tagged and not is_denied and is_answered) as accepted,
        countif(is_tagged and not is_denied and is_answered and not is_answer_denied) as answer_allowed
    from checked_questions
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
        count(distinct question_id) as with_two_answers,
        count(*) as paired,
        countif(is_chosen_score_enough) as chosen_score_enough,
        countif(is_chosen_score_enough and is_vote_gap_enough) as gap_enough
    from preference_pairs
),

counts as (
    select
        question_counts.*,
        pair_counts.*,
        preference_counts.*
    from question_counts
    cross join pair_counts
    cross join preference_counts
),

steps as (
    {{ funnel_steps('python_qa_instructions', [
        ('question_has_tag', true, 'all_questions', 'tagged'),
        ('question_not_denied', true, 'tagged', 'allowed'),
        ('question_has_accepted_answer', true, 'allowed', 'accepted'),
        ('answer_not_denied', true, 'accepted', 'answer_allowed'),
        ('answer_in_source', true, 'answer_allowed', 'in_source'),
        ('answer_new_enough', true, 'in_source', 'new_enough'),
        ('answer_score_enough', true, 'new_enough', 'score_enough'),
        ('answer_to_this_question', variable('match_parent'), 'score_enough', 'to_this_question'),
    ]) }}
    union all
    {{ funnel_steps('python_qa_preferences', [
        ('question_has_tag', true, 'all_questions', 'tagged'),
        ('question_not_denied', true, 'tagged', 'allowed'),
        ('question_has_two_answers', true, 'allowed', 'with_two_answers'),
    ] + ([
        ('further_pairs', true, 'with_two_answers', 'paired'),
    ] if variable('pairs_per_question') | int > 1 else []) + [
        ('chosen_score_enough', true, 'paired', 'chosen_score_enough'),
        ('vote_gap_enough', true, 'chosen_score_enough', 'gap_enough'),
    ]) }}
),

final as (
    select
        mart,
        step,
        rule,
        is_applied,
        rows_in,
        rows_in - rows_passing as rows_failing,
        if(is_applied, rows_passing, rows_in) as rows_out
    from steps
)

select * from final
