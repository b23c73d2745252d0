with

source as (

    select * from {{ source('kitepilot', 'latencies') }}

),

renamed as (

    select
        run_id,
        session_date,
        stage,
        token,
        strategy,
        subject,
        latency_ns / 1e6 as latency_ms,
        event_at,
        {{ to_ist('event_at') }} as event_at_ist,
        emitted_at,
        log_offset,
        archived_at
    from source

)

select * from renamed
