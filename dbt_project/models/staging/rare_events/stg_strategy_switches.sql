with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'strategy_switched'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractString(detail, 'strategy') as strategy,
        JSONExtractString(detail, 'state') as strategy_state,
        JSONExtractString(detail, 'digest') as digest,
        JSONExtractBool(detail, 'kept') as kept,
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
