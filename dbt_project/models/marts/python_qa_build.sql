with origin as (
    select * from {{ ref('stg_stack_exchange__origin') }}
),

newest_question as (
    select max(created_at) as newest_question_at
    from {{ ref('stg_stack_exchange__questions') }}
),

newest_answer as (
    select max(created_at) as newest_answer_at
    from {{ ref('stg_stack_exchange__answers') }}
),

instructions as (
    select count(*) as instructions
    from {{ ref('python_qa_instructions') }}
),

preferences as (
    select count(*) as preferences
    from {{ ref('python_qa_preferences') }}
),

final as (
    select
        {{ text_literal(tojson(variables(), sort_keys=true)) }} as variables,
        {{ text_literal(variable('instruction_template')) }} as instruction_template,
        {{ text_literal(invocation_id) }} as invocation_id,
        newest_question.newest_question_at,
        newest_answer.newest_answer_at,
        instructions.instructions,
        preferences.preferences,
        origin.*
    from origin
    cross join newest_question
    cross join newest_answer
    cross join instructions
    cross join preferences
)

select * from final
