with

samples as (

    select * from {{ ref('int_latency_samples') }}
    where {{ days_to_build() }}

),

final as (

    select
        run_id,
        session_date,
        toDateTime64(toStartOfMinute(event_at), 3, 'UTC') as minute_at,
        {{ to_ist('minute_at') }} as minute_at_ist,
        stage,
        if(stage in ('decision_to_first_fill', 'decision_to_end'), 'session', 'machine') as clock,
        toInt64(count()) as samples,
        quantileExact(0.5)(latency_ms) as p50_ms,
        quantileExact(0.95)(latency_ms) as p95_ms,
        quantileExact(0.99)(latency_ms) as p99_ms,
        max(latency_ms) as max_ms
    from samples
    group by run_id, session_date, minute_at, stage

)

select * from final
