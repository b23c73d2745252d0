with

account as (

    select run_id, session_date, event_at, profile_version, figure.1 as limit_code, figure.2 as observed
    from {{ ref('stg_account') }}
    array join [
        ('open_positions', toFloat64(open_positions)),
        ('gross_exposure', toFloat64(gross_exposure_paise)),
        ('orders_per_day', toFloat64(orders)),
        ('trades_per_day', toFloat64(trades)),
        ('drawdown', toFloat64(drawdown_paise)),
        ('daily_loss', toFloat64(worst_case_paise))
    ] as figure

),

limit_checks as (

    select * from {{ ref('limit_checks') }}

),

limits as (

    select * from {{ ref('int_profile_limits') }}

),

-- the highest of a profile's time is the nearest it came: the limit stands still meanwhile
highest as (

    select
        run_id,
        session_date,
        profile_version,
        limit_code,
        count() as observations,
        max(account.observed) as observed,
        argMax(account.event_at, account.observed) as event_at
    from account
    group by run_id, session_date, profile_version, limit_code

),

final as (

    select
        highest.run_id as run_id,
        highest.session_date as session_date,
        highest.limit_code as limit_code,
        highest.event_at as event_at,
        highest.observations as observations,
        highest.observed as observed,
        limits.allowed as allowed,
        {{ use_of_limit('highest.observed', 'limits.allowed', 'limit_checks.comparison', 'limit_checks.idle_at_limit') }} as use_share
    from highest
    inner join limit_checks on highest.limit_code = limit_checks.limit_code
    inner join limits
        on highest.run_id = limits.run_id and highest.session_date = limits.session_date
        and highest.profile_version = limits.profile_version and limit_checks.setting = limits.setting

)

select * from final
