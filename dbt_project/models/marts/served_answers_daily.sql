with answers as (
    select * from {{ ref('stg_serving__answers') }}
),

daily as (
    select
        date(answered_at) as day,
        model_version,
        count(*) as answers,
        avg(characters) as mean_characters,
        avg(answer_tokens) as mean_answer_tokens,
        100 * countif(is_refusal) / count(*) as refusal_share,
        100 * countif(is_loop) / count(*) as loop_share,
        100 * countif(is_empty) / count(*) as empty_share,
        100 * countif(is_truncated) / count(*) as truncated_share,
        100 * countif(has_code) / count(*) as code_share,
        avg(parsing_share) as parsing_share,
        array_agg(seconds order by seconds) as sorted_seconds,
        cast(countif(finish_reason = 'STOP') as int64) as finished_stop,
        cast(countif(finish_reason = 'MAX_TOKENS') as int64) as finished_max_tokens,
        cast(countif(finish_reason = 'REPETITION') as int64) as finished_repetition,
        cast(countif(finish_reason not in ('STOP', 'MAX_TOKENS', 'REPETITION')) as int64) as finished_otherwise
    from answers
    group by day, model_version
),

final as (
    select
        day,
        model_version,
        answers,
        mean_characters,
        mean_answer_tokens,
        refusal_share,
        loop_share,
        empty_share,
        truncated_share,
        code_share,
        parsing_share,
        -- The smallest time that is not shorter than this share of the times.
        sorted_seconds[ordinal(cast(ceil(answers * 0.5) as int64))] as seconds_p50,
        sorted_seconds[ordinal(cast(ceil(answers * 0.95) as int64))] as seconds_p95,
        finished_stop,
        finished_max_tokens,
        finished_repetition,
        finished_otherwise
    from daily
)

select * from final
