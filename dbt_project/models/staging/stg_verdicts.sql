with

source as (

    select * from {{ source('kitepilot', 'verdicts') }}

),

renamed as (

    select
        run_id,
        session_date,
        verdict_id,
        signal_id,
        strategy,
        token,
        tradingsymbol,
        purpose,
        side,
        quantity,
        limit_price_paise,
        approved,
        denial,
        intent_id,
        state,
        check_code,
        check_passed,
        check_observed,
        check_limit,
        profile_version,
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
