-- Stack Overflow accepts at most 30,000 characters of Markdown per post and 150 per title. A post is longer as HTML
-- with entities, but not longer than these limits. Only warns, because cleaning is done in Python.
{{ config(severity='warn') }}

select example_id
from {{ ref('python_qa_instructions') }}
where
    length(question_title) > 300
    or length(question_body) > 200000
    or length(answer_body) > 200000
