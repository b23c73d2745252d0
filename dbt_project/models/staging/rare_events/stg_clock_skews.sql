with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'clock_measured'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractInt(detail, 'skew_ms') as skew_ms,
        JSONExtractString(detail, 'against') as measured_against,
        source.source as producer,
        seq as producer_seq,
        event_at,
        {{ to_ist('event_at') }} as event_at_ist,
        emitted_at,
        log_offset,
        archived_at
    from source

)

select * from renamed
