with

source as (

    select * from {{ source('kitepilot', 'orders') }}

),

renamed as (

    select
        run_id,
        session_date,
        intent_id,
        order_id,
        token,
        tradingsymbol,
        side,
        purpose,
        strategy,
        kind as line_kind,
        status,
        quantity,
        filled_quantity,
        price_paise,
        trade_id,
        detail,
        if(latency_ns > 0, latency_ns / 1e6, null) as latency_ms,
        slice,
        {{ null_if_epoch('submitted_at') }} as submitted_at,
        {{ null_if_epoch('submitted_event_at') }} as submitted_event_at,
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
