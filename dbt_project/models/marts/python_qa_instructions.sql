{{ config(
    partition_by={'field': 'answer_created_at', 'data_type': 'timestamp', 'granularity': 'month'},
    cluster_by=['question_id'],
) }}

with pairs as (
    select * from {{ ref('int_accepted_pairs') }}
    where is_kept
),

questions as (
    select
        *,
        concat(title, body) as input_text
    from {{ ref('int_questions_tagged') }}
),

answers as (
    select * from {{ ref('int_answers_to_tagged_questions') }}
),

duplicate_links as (
    select * from {{ ref('int_duplicate_links') }}
),

final as (
    select
        pairs.example_id,
        pairs.question_id,
        pairs.answer_id,
        questions.title as question_title,
        questions.body as question_body,
        answers.body as answer_body,
        questions.input_text,
        concat({{ text_literal(variable('instruction_template')) }}, ' ', questions.input_text) as input_text_instruct,
        answers.body as output_text,
        questions.tags,
        questions.score as question_score,
        answers.score as answer_score,
        questions.created_at as question_created_at,
        answers.created_at as answer_created_at,
        questions.license as question_license,
        answers.license as answer_license,
        questions.license_url as question_license_url,
        answers.license_url as answer_license_url,
        questions.author_id as question_author_id,
        questions.author_name as question_author_name,
        questions.author_url as question_author_url,
        answers.author_id as answer_author_id,
        answers.author_name as answer_author_name,
        answers.author_url as answer_author_url,
        questions.url as question_url,
        answers.url as answer_url,
        coalesce(duplicate_links.linked_question_ids, []) as linked_question_ids,
        questions.text_length as question_length,
        answers.text_length as answer_length,
        questions.has_code as question_has_code,
        answers.has_code,
        answers.is_link_only as link_only,
        questions.needs_picture,
        answers.leans_on_others,
        answers.has_python2_code,
        questions.is_closed,
        questions.is_duplicate,
        questions.is_community_wiki or answers.is_community_wiki as is_community_wiki,
        questions.comment_count as question_comment_count,
        answers.comment_count as answer_comment_count,
        questions.view_count,
        cast(
            floor(timestamp_diff(answers.created_at, questions.created_at, second) / 86400) as int64
        ) as days_to_answer,
        questions.author_id = answers.author_id as is_self_answer,
        pairs.quality_reason
    from pairs
    inner join questions
        on pairs.question_id = questions.question_id
    inner join answers
        on pairs.answer_id = answers.answer_id
    left join duplicate_links
        on pairs.question_id = duplicate_links.question_id
)

select * from final
