with

source as (

    select * from {{ source('kitepilot', 'foreign_fills') }}

),

renamed as (

    select
        run_id,
        session_date,
        order_id,
        trade_id,
        token,
        tradingsymbol,
        side,
        quantity,
        price_paise,
        filled_at,
        {{ to_ist('filled_at') }} as filled_at_ist,
        placed_by,
        by_broker,
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
