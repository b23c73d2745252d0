with

verdicts as (

    select * from {{ ref('stg_verdicts') }}

),

limit_checks as (

    select * from {{ ref('limit_checks') }}

),

checks as (

    select
        run_id,
        session_date,
        event_at,
        strategy,
        tradingsymbol,
        verdict_id,
        denial,
        code,
        passed,
        observed,
        allowed
    from verdicts
    array join
        check_code as code,
        check_passed as passed,
        check_observed as observed,
        check_limit as allowed

),

final as (

    select
        checks.run_id as run_id,
        checks.session_date as session_date,
        checks.event_at as event_at,
        checks.strategy as strategy,
        checks.tradingsymbol as tradingsymbol,
        checks.code as limit_code,
        checks.passed as passed,
        checks.denial = checks.code as refused,
        checks.observed as observed,
        checks.allowed as allowed,
        {{ use_of_limit('checks.observed', 'checks.allowed', 'limit_checks.comparison', 'limit_checks.idle_at_limit') }} as use_share
    from checks
    left join limit_checks on checks.code = limit_checks.limit_code

)

select * from final
