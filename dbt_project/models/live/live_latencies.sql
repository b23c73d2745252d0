with

latencies as (

    select * from {{ ref('stg_latencies') }}
    where {{ of_newest_run() }}

),

final as (

    select
        run_id,
        session_date,
        stage,
        toStartOfMinute(event_at) as minute_at,
        {{ to_ist('minute_at') }} as minute_at_ist,
        count() as steps,
        quantile(0.5)(latency_ms) as p50_ms,
        quantile(0.95)(latency_ms) as p95_ms,
        quantile(0.99)(latency_ms) as p99_ms,
        max(latency_ms) as max_ms
    from latencies
    group by run_id, session_date, stage, minute_at

)

select * from final
