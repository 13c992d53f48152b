select
    mart.example_id,
    denied_posts.post_id
from {{ ref('python_qa_instructions') }} as mart
inner join {{ ref('denied_posts') }} as denied_posts
    on denied_posts.post_id in (mart.question_id, mart.answer_id)
