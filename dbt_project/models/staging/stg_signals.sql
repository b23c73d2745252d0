with

source as (

    select * from {{ source('kitepilot', 'signals') }}

),

renamed as (

    select
        run_id,
        session_date,
        signal_id,
        strategy,
        token,
        tradingsymbol,
        side,
        strength,
        interval_s,
        bar_close_at,
        horizon_s,
        stop_bps,
        take_profit_bps,
        last_paise,
        nullIf(bid_paise, 0) as bid_paise,
        nullIf(ask_paise, 0) as ask_paise,
        features,
        scores,
        {{ null_if_epoch('received_at') }} as received_at,
        rests_on,
        models,
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
