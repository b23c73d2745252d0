with

source as (

    select * from {{ source('kitepilot', 'positions') }}

),

renamed as (

    select
        run_id,
        session_date,
        token,
        intent_id,
        order_id,
        trade_id,
        is_foreign,
        side,
        quantity,
        price_paise,
        net_quantity,
        bought_paise,
        sold_paise,
        filled_at,
        {{ to_ist('filled_at') }} as filled_at_ist,
        event_at,
        {{ to_ist('event_at') }} as event_at_ist,
        log_offset
    from source

)

select * from renamed
