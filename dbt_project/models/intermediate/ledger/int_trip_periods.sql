-- A closed round trip in every period and under every heading it is judged by; only runs that count.
with

trips as (

    select * from {{ ref('fct_round_trips') }}
    where is_closed

),

starts as (

    select * from {{ ref('int_run_starts') }}
    where counts_in_performance

),

counted as (

    select
        trips.*,
        starts.mode as mode,
        entry_value_paise + exit_value_paise as turnover_paise
    from trips
    inner join starts using (session_date, run_id)

),

final as (

    select
        mode,
        session_date,
        run_id,
        trip_id,
        closed_at,
        holding_s,
        outcome,
        gross_pnl_paise,
        charges_paise,
        net_pnl_paise,
        turnover_paise,
        span.1 as period,
        span.2 as period_start,
        heading.1 as dimension,
        heading.2 as dimension_key
    from counted
    array join {{ ledger_periods('session_date') }} as span
    array join [
        ('all', ''),
        ('strategy', strategy),
        ('instrument', toString(token)),
        ('hour', leftPad(toString(opened_hour_ist), 2, '0'))
    ] as heading

)

select * from final
