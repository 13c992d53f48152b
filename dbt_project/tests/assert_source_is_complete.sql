with counts as (
    select
        (select count(*) from {{ source('stack_exchange', 'posts_questions') }}) as questions,
        (select count(*) from {{ source('stack_exchange', 'posts_answers') }}) as answers
)

select
    origin.questions as stated_questions,
    counts.questions,
    origin.answers as stated_answers,
    counts.answers
from {{ ref('stg_stack_exchange__origin') }} as origin
cross join counts
where
    origin.questions != counts.questions
    or origin.answers != counts.answers
