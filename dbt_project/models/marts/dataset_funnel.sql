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

origin as (
    select * from {{ ref('stg_stack_exchange__origin') }}
),

checked_questions as (
    select
        question_id,
        is_tagged,
        coalesce(exclusion_reason, '') != 'fabricated' as is_of_site,
        coalesce(exclusion_reason, '') not in ('fabricated', 'restricted licence') as is_reusable,
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
        countif(is_tagged and not is_denied) as allowed,
        countif(is_tagged and not is_denied and is_of_site) as of_site,
        countif(is_tagged and not is_denied and is_reusable) as reusable,
        countif(is_tagged and not is_denied and is_not_excluded) as not_excluded,
        countif(is_tagged and not is_denied and is_not_excluded and is_answered) as accepted,
        countif(
            is_tagged and not is_denied and is_not_excluded and is_answered and not is_answer_denied
        ) as answer_allowed
    from checked_questions
),

checked_pairs as (
    select
        *,
        coalesce(answer_exclusion_reason, '') != 'fabricated' as is_answer_of_site,
        coalesce(answer_exclusion_reason, '') not in ('fabricated', 'restricted licence') as is_answer_reusable,
        is_answer_in_source and answer_exclusion_reason is null as is_answer_usable
    from accepted_pairs
),

pair_counts as (
    select
        countif(is_answer_in_source) as in_source,
        countif(is_answer_in_source and is_answer_of_site) as answer_of_site,
        countif(is_answer_in_source and is_answer_reusable) as answer_reusable,
        countif(is_answer_usable) as answer_not_excluded,
        countif(is_answer_usable and is_answer_new_enough) as new_enough,
        countif(is_answer_usable and is_answer_new_enough and is_answer_to_this_question) as to_this_question,
        {{ quality_counts() }}
    from checked_pairs
),

preference_counts as (
    select
        count(distinct question_id) as with_two_answers,
        count(*) as paired,
        countif(is_vote_gap_enough) as gap_enough,
        {{ quality_counts() }}
    from preference_pairs
),

instruction_steps as (
    {{ funnel_steps('python_qa_instructions', 'pair_counts', [
        ('question_has_tag', 'tag_pattern', true, 'all_questions', 'tagged'),
        ('question_not_denied', none, true, 'tagged', 'allowed'),
        ('question_of_this_site', none, true, 'allowed', 'of_site'),
        ('question_license_allows_reuse', none, true, 'of_site', 'reusable'),
        ('question_author_not_excluded', 'exclude_user', true, 'reusable', 'not_excluded'),
        ('question_has_accepted_answer', none, true, 'not_excluded', 'accepted'),
        ('answer_not_denied', none, true, 'accepted', 'answer_allowed'),
        ('answer_in_source', none, true, 'answer_allowed', 'in_source'),
        ('answer_of_this_site', none, true, 'in_source', 'answer_of_site'),
        ('answer_license_allows_reuse', none, true, 'answer_of_site', 'answer_reusable'),
        ('answer_author_not_excluded', 'exclude_user', true, 'answer_reusable', 'answer_not_excluded'),
        ('answer_new_enough', 'since', true, 'answer_not_excluded', 'new_enough'),
        ('answer_to_this_question', 'match_parent', variable('match_parent'), 'new_enough', 'to_this_question'),
    ]) }}
),

preference_steps as (
    {{ funnel_steps('python_qa_preferences', 'preference_counts', [
        ('question_has_tag', 'tag_pattern', true, 'all_questions', 'tagged'),
        ('question_not_denied', none, true, 'tagged', 'allowed'),
        ('question_of_this_site', none, true, 'allowed', 'of_site'),
        ('question_license_allows_reuse', none, true, 'of_site', 'reusable'),
        ('question_author_not_excluded', 'exclude_user', true, 'reusable', 'not_excluded'),
        ('question_has_two_answers', none, true, 'not_excluded', 'with_two_answers'),
    ] + ([
        ('further_pairs', 'pairs_per_question', true, 'with_two_answers', 'paired'),
    ] if variable('pairs_per_question') | int > 1 else []) + [
        ('vote_gap_enough', 'preference_vote_gap', true, 'paired', 'gap_enough'),
    ]) }}
),

steps as (
    select * from instruction_steps
    union all
    select * from preference_steps
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
        steps.variable,
        steps.value,
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
