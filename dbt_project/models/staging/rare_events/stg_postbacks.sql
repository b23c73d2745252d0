with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'postback_received'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractString(detail, 'order_id') as order_id,
        JSONExtractString(detail, 'status') as venue_status,
        fromUnixTimestamp64Nano(JSONExtractInt(detail, 'received_at'), 'UTC') as received_at,
        JSONExtractString(detail, 'body') as body,
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
