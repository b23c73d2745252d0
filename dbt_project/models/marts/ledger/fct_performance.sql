{{ config(materialized='table', pre_hook=[], post_hook=[], order_by=['session_date', 'period']) }}
{%- set grain = 'mode, period, period_start, dimension, dimension_key' %}
with

trips as (

    select * from {{ ref('int_trip_periods') }}

),

starts as (

    select * from {{ ref('int_run_starts') }}
    where counts_in_performance

),

names as (

    select * from {{ ref('int_instrument_names') }}

),

-- the days that a period had: a day without a trade is a day of zero
days as (

    select
        mode,
        span.1 as period,
        span.2 as period_start,
        uniqExact(session_date) as days,
        min(session_date) as first_session_date,
        max(session_date) as last_session_date,
        argMax(run_id, (session_date, started_at)) as last_run_id
    from starts
    array join {{ ledger_periods('session_date') }} as span
    group by mode, period, period_start

),

daily as (

    select
        {{ grain }},
        session_date,
        toFloat64(sum(net_pnl_paise)) as net_paise
    from trips
    group by {{ grain }}, session_date

),

by_day as (

    select
        {{ grain }},
        count() as traded_days,
        sum(net_paise) as net_sum,
        sum(net_paise * net_paise) as net_squares,
        sum(least(net_paise, 0) * least(net_paise, 0)) as loss_squares
    from daily
    group by {{ grain }}

),

cumulated as (

    select
        *,
        sum(net_pnl_paise) over (
            partition by {{ grain }} order by closed_at, trip_id
            rows between unbounded preceding and current row
        ) as net_so_far
    from trips

),

fallen as (

    select
        *,
        greatest(0, max(net_so_far) over (
            partition by {{ grain }} order by closed_at, trip_id
            rows between unbounded preceding and current row
        )) - net_so_far as drawdown_paise
    from cumulated

),

by_trip as (

    select
        {{ grain }},
        count() as round_trips,
        countIf(outcome = 'won') as won,
        countIf(outcome = 'lost') as lost,
        sum(gross_pnl_paise) as gross_pnl_paise,
        sum(fallen.charges_paise) as charges_paise,
        sum(net_pnl_paise) as net_pnl_paise,
        sum(turnover_paise) as turnover_paise,
        sumIf(fallen.net_pnl_paise, fallen.net_pnl_paise > 0) as won_paise,
        -sumIf(fallen.net_pnl_paise, fallen.net_pnl_paise < 0) as lost_paise,
        max(fallen.net_pnl_paise) as best_trip_paise,
        min(fallen.net_pnl_paise) as worst_trip_paise,
        max(drawdown_paise) as max_drawdown_paise,
        avg(holding_s) as average_holding_s
    from fallen
    group by {{ grain }}

),

joined as (

    select by_trip.*, by_day.traded_days, by_day.net_sum, by_day.net_squares, by_day.loss_squares
    from by_trip
    inner join by_day using ({{ grain }})

),

dated as (

    select
        joined.*,
        days.* except (mode, period, period_start),
        toUInt32OrZero(if(dimension = 'instrument', dimension_key, '')) as token,
        net_sum / days as daily_mean,
        if(days > 1, sqrt(greatest(net_squares - days * daily_mean * daily_mean, 0) / (days - 1)), 0)
            as daily_deviation,
        sqrt(loss_squares / days) as downside_deviation,
        days >= {{ var('performance_min_days', 20) }} as is_enough
    from joined
    inner join days using (mode, period, period_start)

),

named as (

    select
        dated.*,
        if(dimension = 'instrument', names.shown_name, dimension_key) as dimension_value
    from dated
    left join names using (token)

),

final as (

    select
        toLowCardinality(last_run_id) as run_id,
        last_session_date as session_date,
        toString(mode) as mode,
        period,
        if(period = 'all', first_session_date, period_start) as period_start,
        dimension,
        dimension_value,
        token,
        days,
        traded_days,
        round_trips,
        won,
        lost,
        won / round_trips as win_rate,
        gross_pnl_paise,
        charges_paise,
        net_pnl_paise,
        turnover_paise,
        toInt64(round(net_pnl_paise / round_trips)) as expectancy_paise,
        best_trip_paise,
        worst_trip_paise,
        if(lost_paise > 0, won_paise / lost_paise, null) as profit_factor,
        max_drawdown_paise,
        if(is_enough and daily_deviation > 0, daily_mean / daily_deviation * sqrt(252), null) as sharpe,
        if(is_enough and downside_deviation > 0, daily_mean / downside_deviation * sqrt(252), null) as sortino,
        assumeNotNull({{ to_bps('net_pnl_paise', 'turnover_paise') }}) as net_bps,
        average_holding_s,
        {{ to_rupees('gross_pnl_paise') }} as gross_pnl_rupees,
        {{ to_rupees('charges_paise') }} as charges_rupees,
        {{ to_rupees('net_pnl_paise') }} as net_pnl_rupees,
        {{ to_rupees('turnover_paise') }} as turnover_rupees,
        {{ to_rupees('expectancy_paise') }} as expectancy_rupees,
        {{ to_rupees('max_drawdown_paise') }} as max_drawdown_rupees
    from named

)

select * from final
