-- Warns only: the marts are the source's rows to the letter, and cleaning (which counts what it drops) is Python's.
{{ config(severity='warn') }}

select
    example_id,
    'instructions' as mart
from {{ ref('python_qa_instructions') }}
where
    trim(coalesce(question_title, '')) = ''
    or trim(coalesce(question_body, '')) = ''
    or trim(coalesce(answer_body, '')) = ''
union all
select
    example_id,
    'preferences' as mart
from {{ ref('python_qa_preferences') }}
where
    trim(coalesce(question_title, '')) = ''
    or trim(coalesce(question_body, '')) = ''
    or trim(coalesce(chosen_body, '')) = ''
    or trim(coalesce(rejected_body, '')) = ''
