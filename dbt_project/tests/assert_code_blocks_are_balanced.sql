{{ config(severity='warn') }}

with texts as (
    select
        example_id,
        question_body as body
    from {{ ref('python_qa_instructions') }}
    union all
    select
        example_id,
        answer_body as body
    from {{ ref('python_qa_instructions') }}
)

select example_id
from texts
where array_length(regexp_extract_all(body, r'<code[ >]')) != array_length(regexp_extract_all(body, r'</code>'))
