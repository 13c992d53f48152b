with questions as (
    select
        question_id,
        accepted_answer_id,
        exclusion_reason,
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
        coalesce(exclusion_reason, '') != 'fabricated' as is_of_site,
        exclusion_reason is null as is_not_excluded,
        accepted_answer_id is not null as is_answered,
        {{ is_denied('questions.question_id') }} as is_denied,
        {{ is_denied('questions.accepted_answer_id') }} as is_answer_denied
    from questions
),

question_counts as (
    select
        count(*) as all_questions,
        countif(is_tagged) as tagged,
        countif(is_tagged and is_of_site) as of_site,
        countif(is_tagged and is_not_excluded) as not_excluded,
        countif(is_tagged and is_not_excluded and not is_denied) as allowed,
        countif(is_tagged and is_not_excluded and not is_denied and is_answered) as accepted,
        countif(
            is_tagged and is_not_excluded and not is_denied and is_answered and not is_answer_denied
        ) as answer_allowed
    from checked_questions
),

checked_pairs as (
    select
        *,
        coalesce(answer_exclusion_reason, '') != 'fabricated' as is_answer_of_site,
        is_answer_in_source and answer_exclusion_reason is null as is_answer_usable
    from accepted_pairs
),

pair_counts as (
    select
        countif(is_answer_in_source) as in_source,
        countif(is_answer_in_source and is_answer_of_site) as answer_of_site,
        countif(is_answer_usable) as answer_not_excluded,
        countif(is_answer_usable and is_answer_new_enough) as new_enough,
        countif(is_answer_usable and is_answer_new_enough and is_answer_to_this_question) as to_this_question,
        {{ quality_counts() }}
    from checked_pairs
),

preference_counts as (
    select
        count(*) as with_two_answers,
        countif(is_vote_gap_enough) as gap_enough,
        {{ quality_counts() }}
    from preference_pairs
),

instruction_steps as (
    {{ funnel_steps('python_qa_instructions', 'pair_counts', [
        ('question_has_tag', 'tag_pattern', true, 'all_questions', 'tagged'),
        ('question_of_this_site', none, true, 'tagged', 'of_site'),
        ('question_author_not_excluded', 'exclude_user', true, 'of_site', 'not_excluded'),
        ('question_not_denied', none, true, 'not_excluded', 'allowed'),
        ('question_has_accepted_answer', none, true, 'allowed', 'accepted'),
        ('answer_not_denied', none, true, 'accepted', 'answer_allowed'),
        ('answer_in_source', none, true, 'answer_allowed', 'in_source'),
        ('answer_of_this_site', none, true, 'in_source', 'answer_of_site'),
        ('answer_author_not_excluded', 'exclude_user', true, 'answer_of_site', 'answer_not_excluded'),
        ('answer_new_enough', 'since', true, 'answer_not_excluded', 'new_enough'),
        ('answer_to_this_question', 'match_parent', variable('match_parent'), 'new_enough', 'to_this_question'),
    ]) }}
),

preference_steps as (
    {{ funnel_steps('python_qa_preferences', 'preference_counts', [
        ('question_has_tag', 'tag_pattern', true, 'all_questions', 'tagged'),
        ('question_of_this_site', none, true, 'tagged', 'of_site'),
        ('question_author_not_excluded', 'exclude_user', true, 'of_site', 'not_excluded'),
        ('question_not_denied', none, true, 'not_excluded', 'allowed'),
        ('question_has_two_answers', none, true, 'allowed', 'with_two_answers'),
        ('vote_gap_enough', 'preference_vote_gap', true, 'with_two_answers', 'gap_enough'),
    ]) }}
),

steps as (
    select * from instruction_steps
    union all
    select * from preference_steps
),

final as (
    select
        mart,
        step,
        rule,
        variable,
        value,
        is_applied,
        rows_in,
        rows_in - rows_passing as rows_failing,
        if(is_applied, rows_passing, rows_in) as rows_out
    from steps
)

select * from final
