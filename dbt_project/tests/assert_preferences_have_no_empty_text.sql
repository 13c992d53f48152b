{{ config(severity='warn') }}

select example_id
from {{ ref('python_qa_preferences') }}
where
    trim(coalesce(question_title, '')) = ''
    or trim(coalesce(question_body, '')) = ''
    or trim(coalesce(chosen_body, '')) = ''
    or trim(coalesce(rejected_body, '')) = ''
