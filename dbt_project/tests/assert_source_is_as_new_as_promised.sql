{#
Source freshness does not apply: the public dataset is frozen at 2022-09-25 and a dump is as old as it is. What can be
asked is that the newest row is as new as this target's data should have. An older dump only warns, since loading
one is the user's choice: the mart is then empty and the funnel shows it.
#}
{{ config(severity='error' if is_public_dataset() else 'warn') }}

select build.newest_answer_at
from {{ ref('python_qa_build') }} as build
where not coalesce(
    build.newest_answer_at >= timestamp({{ text_literal('2022-09-24' if is_public_dataset() else variable('since')) }}),
    false
)
