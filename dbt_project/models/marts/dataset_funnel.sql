{#
Keeps every build. A build with the same variables, source and counts as the latest one takes its place, so that running
a build again adds no rows.
#}
{{ config(
    materialized='incremental',
    unique_key=['build', 'mart', 'step'],
    on_schema_change='append_new_columns',
    full_refresh=false,
) }}

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

origin as (
    select * from {{ ref('stg_stack_exchange__origin') }}
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
        count(*) as with_two_answers,
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
        ('chosen_score_enough', true, 'with_two_answers', 'chosen_score_enough'),
        ('vote_gap_enough', true, 'chosen_score_enough', 'gap_enough'),
    ]) }}
),

counted as (
    select
        origin.site,
        origin.tag_filter,
        origin.digest,
        {{ text_literal(tojson(variables(), sort_keys=true)) }} as variables,
        steps.mart,
        steps.step,
        steps.rule,
        steps.is_applied,
        steps.rows_in,
        steps.rows_in - steps.rows_passing as rows_failing,
        if(steps.is_applied, steps.rows_passing, steps.rows_in) as rows_out
    from steps
    cross join origin
),

{% if is_later_build() -%}
latest as (
    select * from {{ this }}
    where true
    qualify build = max(build) over ()
),

unchanged as (
    select
        max(latest.build) as build,
        countif(counted.mart is null or latest.mart is null) = 0 as is_latest
    from latest
    full outer join counted
        on
            latest.site = counted.site
            and latest.tag_filter = counted.tag_filter
            and latest.digest = counted.digest
            and latest.variables = counted.variables
            and latest.mart = counted.mart
            and latest.step = counted.step
            and latest.rule = counted.rule
            and latest.is_applied = counted.is_applied
            and latest.rows_in = counted.rows_in
            and latest.rows_out = counted.rows_out
),

number as (
    select coalesce(if(is_latest, build, build + 1), 1) as build
    from unchanged
),

{% else -%}
number as (
    select 1 as build
),

{% endif -%}

final as (
    select
        number.build,
        {{ text_literal(invocation_id) }} as invocation_id,
        timestamp('{{ run_started_at }}') as built_at,
        counted.*
    from counted
    cross join number
)

select * from final
