{{ config(
    partition_by={'field': 'chosen_created_at', 'data_type': 'timestamp', 'granularity': 'month'},
    cluster_by=['question_id'],
) }}

with pairs as (
    select * from {{ ref('int_preference_pairs') }}
    where is_kept
),

questions as (
    select * from {{ ref('int_questions_tagged') }}
),

answers as (
    select * from {{ ref('int_answers_to_tagged_questions') }}
),

duplicate_links as (
    select * from {{ ref('int_duplicate_links') }}
),

final as (
    select
        concat(cast(pairs.question_id as string), '-', cast(pairs.chosen_answer_id as string)) as example_id,
        pairs.question_id,
        pairs.chosen_answer_id,
        pairs.rejected_answer_id,
        questions.title as question_title,
        questions.body as question_body,
        chosen.body as chosen_body,
        rejected.body as rejected_body,
        questions.tags,
        questions.score as question_score,
        chosen.score as chosen_score,
        rejected.score as rejected_score,
        pairs.vote_gap,
        coalesce(pairs.chosen_answer_id = questions.accepted_answer_id, false) as is_chosen_accepted,
        questions.created_at as question_created_at,
        chosen.created_at as chosen_created_at,
        rejected.created_at as rejected_created_at,
        questions.license as question_license,
        chosen.license as chosen_license,
        rejected.license as rejected_license,
        questions.license_url as question_license_url,
        chosen.license_url as chosen_license_url,
        rejected.license_url as rejected_license_url,
        questions.author_id as question_author_id,
        questions.author_name as question_author_name,
        questions.author_url as question_author_url,
        chosen.author_id as chosen_author_id,
        chosen.author_name as chosen_author_name,
        chosen.author_url as chosen_author_url,
        rejected.author_id as rejected_author_id,
        rejected.author_name as rejected_author_name,
        rejected.author_url as rejected_author_url,
        questions.url as question_url,
        chosen.url as chosen_url,
        rejected.url as rejected_url,
        coalesce(duplicate_links.linked_question_ids, []) as linked_question_ids,
        pairs.quality_reason
    from pairs
    inner join questions
        on pairs.question_id = questions.question_id
    inner join answers as chosen
        on pairs.chosen_answer_id = chosen.answer_id
    inner join answers as rejected
        on pairs.rejected_answer_id = rejected.answer_id
    left join duplicate_links
        on pairs.question_id = duplicate_links.question_id
)

select * from final
