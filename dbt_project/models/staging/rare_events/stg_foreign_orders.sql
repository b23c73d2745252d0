with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'foreign_order_updated'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractString(detail, 'order_id') as order_id,
        JSONExtractInt(detail, 'token') as token,
        JSONExtractString(detail, 'tradingsymbol') as tradingsymbol,
        JSONExtractString(detail, 'side') as side,
        JSONExtractString(detail, 'product') as product,
        JSONExtractInt(detail, 'quantity') as quantity,
        JSONExtractInt(detail, 'filled_quantity') as filled_quantity,
        JSONExtractString(detail, 'status') as status,
        JSONExtractString(detail, 'venue_status') as venue_status,
        JSONExtractString(detail, 'placed_by') as placed_by,
        JSONExtractBool(detail, 'by_broker') as by_broker,
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
