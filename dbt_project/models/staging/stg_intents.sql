with

source as (

    select * from {{ source('kitepilot', 'intents') }}

),

renamed as (

    select
        run_id,
        session_date,
        intent_id,
        config_hash,
        signal_id,
        verdict_id,
        strategy,
        purpose,
        token,
        tradingsymbol,
        side,
        quantity,
        order_type,
        limit_price_paise,
        validity,
        decision_price_paise,
        {{ null_if_epoch('received_at') }} as received_at,
        {{ null_if_epoch('signal_emitted_at') }} as signal_emitted_at,
        protection_bps,
        attempt,
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
