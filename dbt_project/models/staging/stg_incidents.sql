with

source as (

    select * from {{ source('kitepilot', 'incidents') }}

),

renamed as (

    select
        run_id,
        session_date,
        kind as incident_kind,
        subject,
        token,
        strategy,
        value as observed,
        detail,
        event_at,
        {{ to_ist('event_at') }} as event_at_ist,
        emitted_at,
        log_offset
    from source

)

select * from renamed
