with links as (
    select
        instructions.question_id,
        linked_question_id
    from {{ ref('python_qa_instructions') }} as instructions
    cross join unnest(instructions.linked_question_ids) as linked_question_id
)

select links.*
from links
inner join {{ ref('python_qa_instructions') }} as others
    on links.linked_question_id = others.question_id
left join links as reverse_links
    on
        links.linked_question_id = reverse_links.question_id
        and links.question_id = reverse_links.linked_question_id
where
    reverse_links.question_id is null
    or links.question_id = links.linked_question_id
