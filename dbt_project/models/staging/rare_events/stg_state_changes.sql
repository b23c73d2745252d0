with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'state_changed'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractString(detail, 'previous') as previous_state,
        JSONExtractString(detail, 'state') as state,
        JSONExtractString(detail, 'reason') as reason,
        JSONExtractString(detail, 'rule') as rule,
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
