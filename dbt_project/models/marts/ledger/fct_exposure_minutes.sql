with

account as (

    select * from {{ ref('stg_account') }}
    where {{ days_to_build() }}

),

legs as (

    select * from {{ ref('int_ledger_legs') }}
    where whose = 'ours' and {{ days_to_build() }}

),

bars as (

    select * from {{ ref('stg_bars') }}
    where interval_s = 60 and not backfilled and {{ days_to_build() }}

),

minutes as (

    select
        run_id,
        session_date,
        toStartOfMinute(event_at) as minute_at,
        argMax(gross_exposure_paise, log_offset) as gross_exposure_paise,
        max(account.gross_exposure_paise) as peak_gross_exposure_paise,
        argMax(open_positions, log_offset) as open_positions,
        max(account.open_positions) as peak_open_positions,
        max(working_orders) as peak_working_orders,
        argMax(worst_case_paise, log_offset) as worst_case_paise
    from account
    group by run_id, session_date, minute_at

),

-- a position from one trade to the next, at the ends of the minutes it was held through
held as (

    select
        run_id,
        session_date,
        token,
        position_after as quantity,
        cost_after_paise,
        event_at,
        leadInFrame(event_at, 1, toDateTime64('2200-01-01', 9, 'UTC')) over (
            partition by session_date, run_id, token order by leg_number
            rows between unbounded preceding and unbounded following
        ) as until
    from legs

),

holdings as (

    select
        minutes.run_id as run_id,
        minutes.session_date as session_date,
        minutes.minute_at as minute_at,
        held.token as token,
        held.quantity as quantity,
        held.cost_after_paise as cost_after_paise,
        toDateTime64(minutes.minute_at + interval 1 minute, 9, 'UTC') as ends_at
    from minutes
    inner join held on minutes.run_id = held.run_id and minutes.session_date = held.session_date
    where held.quantity != 0 and held.event_at < ends_at and ends_at <= held.until

),

valued as (

    select
        holdings.run_id as run_id,
        holdings.session_date as session_date,
        holdings.minute_at as minute_at,
        if(bars.close_paise > 0, holdings.quantity * bars.close_paise, sign(holdings.quantity) * cost_after_paise)
            as value_paise
    from holdings
    asof left join bars
        on holdings.session_date = bars.session_date
        and holdings.run_id = bars.run_id
        and holdings.token = bars.token
        and holdings.ends_at >= bars.close_at

),

sides as (

    select
        run_id,
        session_date,
        minute_at,
        sumIf(value_paise, value_paise > 0) as long_paise,
        -sumIf(value_paise, value_paise < 0) as short_paise,
        max(abs(value_paise)) as largest_position_paise
    from valued
    group by run_id, session_date, minute_at

),

final as (

    select
        run_id,
        session_date,
        toDateTime64(minutes.minute_at, 3, 'UTC') as minute_at,
        {{ to_ist('minute_at') }} as minute_at_ist,
        gross_exposure_paise,
        peak_gross_exposure_paise,
        sides.long_paise as long_paise,
        sides.short_paise as short_paise,
        sides.long_paise - sides.short_paise as net_exposure_paise,
        toInt64(sides.largest_position_paise) as largest_position_paise,
        worst_case_paise,
        toUInt32(open_positions) as open_positions,
        toUInt32(peak_open_positions) as peak_open_positions,
        toUInt32(peak_working_orders) as peak_working_orders,
        {{ to_rupees('gross_exposure_paise') }} as gross_exposure_rupees,
        {{ to_rupees('peak_gross_exposure_paise') }} as peak_gross_exposure_rupees,
        {{ to_rupees('long_paise') }} as long_rupees,
        {{ to_rupees('short_paise') }} as short_rupees,
        {{ to_rupees('net_exposure_paise') }} as net_exposure_rupees
    from minutes
    left join sides using (session_date, run_id, minute_at)

)

select * from final
