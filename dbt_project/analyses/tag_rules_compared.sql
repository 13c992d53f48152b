-- Count the questions that each tag rule selects: the current pattern, the exact tag, or the text python anywhere in
-- a tag. Run it with: dbt show --select tag_rules_compared. It reads only IDs and tags.
with questions as (
    select
        question_id,
        tags
    from {{ ref('stg_stack_exchange__questions') }}
)

select
    countif({{ has_tag('questions.tags') }}) as by_the_pattern_in_force,
    countif('python' in unnest(questions.tags)) as by_the_exact_tag,
    countif(regexp_contains(array_to_string(questions.tags, '|'), 'python')) as by_python_anywhere
from questions
