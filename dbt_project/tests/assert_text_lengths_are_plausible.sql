{{ config(severity='warn') }}

select example_id
from {{ ref('python_qa_instructions') }}
where
    length(question_title) > 300
    or length(question_body) > 200000
    or length(answer_body) > 200000
