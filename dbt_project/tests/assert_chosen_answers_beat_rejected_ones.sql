select example_id
from {{ ref('python_qa_preferences') }}
where
    chosen_score - rejected_score < {{ variable('preference_vote_gap') }}
    or vote_gap != chosen_score - rejected_score
    or chosen_answer_id = rejected_answer_id
    or not {{ is_new_enough('chosen_created_at') }}
    or not {{ is_new_enough('rejected_created_at') }}
union all
select max(example_id) as example_id
from {{ ref('python_qa_preferences') }}
group by question_id
having count(*) > {{ variable('pairs_per_question') }}
