{{ config(severity='error' if is_public_dataset() else 'warn') }}

select build.newest_answer_at
from {{ ref('python_qa_build') }} as build
where not coalesce(
    build.newest_answer_at >= timestamp({{ text_literal('2022-09-24' if is_public_dataset() else variable('since')) }}),
    false
)
