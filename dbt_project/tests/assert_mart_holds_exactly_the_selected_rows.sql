with selected as (
    select
        questions.id as question_id,
        answers.id as answer_id
    from {{ source('stack_exchange', 'posts_questions') }} as questions
    inner join {{ source('stack_exchange', 'posts_answers') }} as answers
        on questions.accepted_answer_id = answers.id
    cross join {{ ref('stg_stack_exchange__origin') }} as origin
    where
        {{ has_tag("split(questions.tags, '|')") }}
        and answers.creation_date >= {{ text_literal(variable('since')) }}
        {%- if variable('match_parent') %}
        and answers.parent_id = questions.id
        {%- endif %}
        {%- for post in ['questions', 'answers'] %}
        and not coalesce({{ post }}.owner_user_id < -1, false)
        and not coalesce({{ post }}.owner_user_id = -1 and {{ post }}.id > 999999999, false)
        {%- if not is_public_dataset() %}
        and not regexp_contains(
            lower(coalesce({{ post }}.content_license, '')), r'\b(?:nc|nd|non-?commercial|no-?deriv\w*)\b'
        )
        {%- endif %}
        and coalesce(cast({{ post }}.owner_user_id as string) not in unnest(split(origin.exclude_user, ',')), true)
        {%- for user_id in variable('exclude_user') %}
        and not coalesce({{ post }}.owner_user_id = {{ user_id }}, false)
        {%- endfor %}
        {%- endfor %}
        and not exists (
            select 1 from {{ ref('denied_posts') }} as denied_posts
            where denied_posts.post_id in (questions.id, answers.id)
        )
)

select
    selected.question_id as question_id_in_source,
    selected.answer_id as answer_id_in_source,
    mart.example_id as example_id_in_mart
from selected
full outer join {{ ref('python_qa_instructions') }} as mart
    on
        selected.question_id = mart.question_id
        and selected.answer_id = mart.answer_id
where selected.question_id is null or mart.question_id is null
