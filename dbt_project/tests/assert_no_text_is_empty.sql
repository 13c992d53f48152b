-- Only warns: the marts do not change the texts of the source. Python cleans them and counts the rows that it drops.
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
