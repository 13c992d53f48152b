-- The texts must be exactly those of the seed notebook: not trimmed, and with no separator between title and body.
select instructions.example_id
from {{ ref('python_qa_instructions') }} as instructions
cross join {{ ref('python_qa_build') }} as build
where
    instructions.input_text != instructions.question_title || instructions.question_body
    or instructions.input_text_instruct != build.instruction_template || ' ' || instructions.input_text
    or instructions.output_text != instructions.answer_body
