select example_id
from {{ ref('python_qa_instructions') }}
where
    input_text != question_title || question_body
    or input_text_instruct != {{ text_literal(variable('instruction_template')) }} || ' ' || input_text
    or output_text != answer_body
