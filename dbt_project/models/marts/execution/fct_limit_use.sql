with

checks as (

    select
        run_id, session_date, limit_code, event_at, strategy, tradingsymbol, observed, allowed, use_share,
        refused, passed, 'check' as seen_by, 1 as observations
    from {{ ref('int_check_results') }}
    where {{ days_to_build() }}

),

account as (

    select
        run_id, session_date, limit_code, event_at, '' as strategy, '' as tradingsymbol, observed, allowed, use_share,
        false as refused, true as passed, 'account' as seen_by, observations
    from {{ ref('int_account_limit_use') }}
    where {{ days_to_build() }}

),

seen as (

    select * from checks
    union all
    select * from account

),

rules as (

    select run_id, session_date, rule, toInt64(countIf(previous_state != state)) as times_acted
    from {{ ref('stg_state_changes') }}
    where rule != '' and {{ days_to_build() }}
    group by run_id, session_date, rule

),

limit_checks as (

    select * from {{ ref('limit_checks') }}

),

nearest as (

    select
        run_id,
        session_date,
        limit_code,
        toInt64(sum(seen.observations)) as observations,
        toInt64(countIf(seen.refused)) as entries_refused,
        toInt64(countIf(not seen.passed)) as checks_failed,
        maxOrNull(seen.use_share) as use_share,
        argMax(
            tuple(seen.observed, seen.allowed, seen.event_at, seen.strategy, seen.tradingsymbol, seen.seen_by),
            (coalesce(seen.use_share, -1), not seen.passed)
        ) as peak
    from seen
    group by run_id, session_date, limit_code

),

final as (

    select
        nearest.run_id as run_id,
        nearest.session_date as session_date,
        nearest.limit_code as limit_code,
        coalesce(limit_checks.setting, '') as setting,
        coalesce(limit_checks.comparison, '') as comparison,
        if(limit_checks.unit = 'paise', 'rupees', coalesce(limit_checks.unit, '')) as unit,
        nearest.observations as observations,
        nearest.use_share as use_share,
        {{ in_rupees_if_money('nearest.peak.1', 'limit_checks.unit') }} as nearest_observed,
        {{ in_rupees_if_money('nearest.peak.2', 'limit_checks.unit') }} as nearest_allowed,
        nearest.peak.3 as nearest_at,
        {{ to_ist('nearest.peak.3') }} as nearest_at_ist,
        nearest.peak.4 as nearest_strategy,
        nearest.peak.5 as nearest_tradingsymbol,
        nearest.peak.6 as seen_by,
        nearest.entries_refused as entries_refused,
        nearest.checks_failed as checks_failed,
        rules.times_acted as times_acted
    from nearest
    left join limit_checks on nearest.limit_code = limit_checks.limit_code
    left join rules
        on nearest.run_id = rules.run_id and nearest.session_date = rules.session_date
        and nearest.limit_code = rules.rule

)

select * from final
