with

verdicts as (

    select * from {{ ref('stg_verdicts') }}
    where {{ of_newest_run() }} and not approved

),

codes as (

    select * from {{ ref('denial_codes') }}

),

final as (

    select
        verdicts.run_id as run_id,
        verdicts.session_date as session_date,
        verdicts.verdict_id as verdict_id,
        verdicts.strategy as strategy,
        verdicts.token as token,
        verdicts.tradingsymbol as tradingsymbol,
        verdicts.side as side,
        verdicts.quantity as quantity,
        verdicts.denial as denial,
        codes.refused_because as refused_because,
        arrayElementOrNull(verdicts.check_observed, indexOf(verdicts.check_code, verdicts.denial)) as observed,
        arrayElementOrNull(verdicts.check_limit, indexOf(verdicts.check_code, verdicts.denial)) as allowed,
        verdicts.event_at as event_at,
        verdicts.event_at_ist as event_at_ist
    from verdicts
    left join codes on codes.denial = verdicts.denial

)

select * from final
