with

source as (

    select * from {{ source('kitepilot', 'events') }}

),

renamed as (

    select
        run_id,
        session_date,
        kind as event_kind,
        subject,
        detail,
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
