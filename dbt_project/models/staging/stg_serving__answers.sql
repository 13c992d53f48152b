with
{% if has_served_answers() %}
answers as (
    select * from {{ source('serving', 'served_answers') }}
),
{% else %}
answers as (
    -- No home has loaded a log of served answers.
    select
        cast(null as string) as answer_id,
        cast(null as timestamp) as answered_at,
        cast(null as string) as model_version,
        cast(null as string) as finish_reason,
        cast(null as int64) as prompt_tokens,
        cast(null as int64) as answer_tokens,
        cast(null as int64) as milliseconds,
        cast(null as int64) as characters,
        cast(null as bool) as has_code,
        cast(null as bool) as is_refusal,
        cast(null as bool) as is_empty,
        cast(null as bool) as is_loop,
        cast(null as bool) as is_truncated,
        cast(null as float64) as parsing_share
    from unnest(array<int64>[])
),
{% endif %}

final as (
    select
        answer_id,
        answered_at,
        model_version,
        finish_reason,
        prompt_tokens,
        answer_tokens,
        milliseconds / 1000 as seconds,
        characters,
        has_code,
        is_refusal,
        is_empty,
        is_loop,
        is_truncated,
        parsing_share
    from answers
)

select * from final
