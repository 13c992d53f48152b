with posts as (
    select
        question_url as url,
        question_license as license,
        question_license_url as license_url
    from {{ ref('python_qa_instructions') }}
    union all
    select
        answer_url as url,
        answer_license as license,
        answer_license_url as license_url
    from {{ ref('python_qa_instructions') }}
)

select posts.*
from posts
cross join {{ ref('stg_stack_exchange__origin') }} as origin
where
    not coalesce(starts_with(posts.url, concat(origin.base_url, '/')), false)
    or coalesce(trim(posts.license), '') = ''
    or (posts.license != origin.license and origin.kind != 'stack_exchange')
    or posts.license_url is null
