with

source as (

    select * from {{ source('kitepilot', 'ticks') }}

),

renamed as (

    select
        run_id,
        session_date,
        token,
        {{ null_if_epoch('exchange_at') }} as exchange_at,
        {{ null_if_epoch(to_ist('exchange_at')) }} as exchange_at_ist,
        received_at,
        {{ null_if_epoch('last_trade_at') }} as last_trade_at,
        last_paise,
        last_quantity,
        average_paise,
        volume,
        total_buy_quantity,
        total_sell_quantity,
        open_paise,
        high_paise,
        low_paise,
        close_paise,
        bid_paise,
        bid_quantity,
        bid_orders,
        ask_paise,
        ask_quantity,
        ask_orders,
        log_offset,
        row,
        archived_at
    from source

)

select * from renamed
