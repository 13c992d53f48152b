-- Authors can ask for the deletion of a post. A post on the deny list must not be in a mart for any values of the
-- variables.
with mart_posts as (
    select question_id as post_id from {{ ref('python_qa_instructions') }}
    union all
    select answer_id as post_id from {{ ref('python_qa_instructions') }}
    union all
    select question_id as post_id from {{ ref('python_qa_preferences') }}
    union all
    select chosen_answer_id as post_id from {{ ref('python_qa_preferences') }}
    union all
    select rejected_answer_id as post_id from {{ ref('python_qa_preferences') }}
)

select mart_posts.post_id
from mart_posts
inner join {{ ref('denied_posts') }} as denied_posts
    on mart_posts.post_id = denied_posts.post_id
