{{ config(severity='warn') }}

select example_id
from {{ ref('python_qa_instructions') }}
where
    trim(coalesce(question_title, '')) = ''
    or trim(coalesce(question_body, '')) = ''
    or trim(coalesce(answer_body, '')) = ''
