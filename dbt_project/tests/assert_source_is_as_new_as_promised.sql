{#
Source freshness does not apply, because the public dataset has not changed since 2022-09-25 and a dump never changes.
Instead, this test checks the date of the newest answer. The public dataset must reach its last day. A dump must reach the
variable since, and an older dump only causes a warning: the mart is then empty, and the funnel shows why.
#}
{{ config(severity='error' if is_public_dataset() else 'warn') }}

select build.newest_answer_at
from {{ ref('python_qa_build') }} as build
where not coalesce(
    build.newest_answer_at >= timestamp({{ text_literal('2022-09-24' if is_public_dataset() else variable('since')) }}),
    false
)
