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

limit_checks as (

    select * from {{ ref('limit_checks') }}

),

final as (

    select
        denied.run_id as run_id,
        denied.session_date as session_date,
        denied.verdict_id as verdict_id,
        denied.signal_id as signal_id,
        denied.strategy as strategy,
        denied.token as token,
        denied.tradingsymbol as tradingsymbol,
        denied.purpose as purpose,
        denied.side as side,
        denied.quantity as quantity,
        denied.limit_price_paise as limit_price_paise,
        denied.denial as denial,
        if(
            denied.place = 0,
            null,
            {{ in_rupees_if_money('denied.check_observed[denied.place]', 'limit_checks.unit') }}
        ) as observed,
        if(
            denied.place = 0,
            null,
            {{ in_rupees_if_money('denied.check_limit[denied.place]', 'limit_checks.unit') }}
        ) as allowed,
        if(limit_checks.unit = 'paise', 'rupees', coalesce(limit_checks.unit, '')) as unit,
        arrayFilter((code, passed) -> not passed, denied.check_code, denied.check_passed) as failed_checks,
        denied.state as trading_state,
        denied.profile_version as profile_version,
        denied.event_at as event_at,
        denied.event_at_ist as event_at_ist
    from denied
    left join limit_checks on denied.denial = limit_checks.limit_code

)

select * from final
