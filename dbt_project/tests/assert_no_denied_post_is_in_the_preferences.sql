select
    mart.example_id,
    denied_posts.post_id
from {{ ref('python_qa_preferences') }} as mart
inner join {{ ref('denied_posts') }} as denied_posts
    on denied_posts.post_id in (mart.question_id, mart.chosen_answer_id, mart.rejected_answer_id)
