with

verdicts as (

    select * from {{ ref('stg_verdicts') }}
    where {{ days_to_build() }}

),

denied as (

    select *, indexOf(check_code, denial) as place
    from verdicts
    where not approved

),

final as (

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
        denial,
        if(place = 0, null, check_observed[place]) as observed,
        if(place = 0, null, check_limit[place]) as allowed,
        arrayFilter((code, passed) -> not passed, check_code, check_passed) as failed_checks,
        state as trading_state,
        profile_version,
        event_at,
        event_at_ist
    from denied

)

select * from final
