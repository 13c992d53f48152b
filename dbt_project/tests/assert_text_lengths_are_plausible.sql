-- Stack Overflow takes at most 30,000 characters of Markdown per post and 150 per title; as HTML with entities a
-- post is longer. More than this is not a post. Warns only, as assert_no_text_is_empty does.
{{ config(severity='warn') }}

select example_id
from {{ ref('python_qa_instructions') }}
where
    length(question_title) > 300
    or length(question_body) > 200000
    or length(answer_body) > 200000
