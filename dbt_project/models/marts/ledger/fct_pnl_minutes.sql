with

account as (

    select
        *,
        realised_paise + unrealised_paise - charges_paise as net_paise
    from {{ ref('stg_account') }}
    where {{ days_to_build() }}

),

running as (

    select
        *,
        greatest(
            0,
            max(net_paise) over (
                partition by session_date, run_id order by log_offset
                rows between unbounded preceding and current row
            )
        ) as peak_paise
    from account

),

marked_minutes as (

    select
        run_id,
        session_date,
        toStartOfMinute(event_at) as minute_at,
        count() as marks,
        argMax(realised_paise, log_offset) as realised_paise,
        argMax(unrealised_paise, log_offset) as unrealised_paise,
        argMax(charges_paise, log_offset) as charges_paise,
        argMax(net_paise, log_offset) as net_pnl_paise,
        max(running.peak_paise) as peak_paise,
        argMax(running.peak_paise - net_paise, log_offset) as drawdown_paise,
        max(running.peak_paise - net_paise) as deepest_drawdown_paise,
        argMax(open_positions, log_offset) as open_positions,
        argMax(state, log_offset) as trading_state
    from running
    group by run_id, session_date, minute_at

),

spaced as (

    select
        *,
        leadInFrame(minute_at, 1, minute_at + interval 1 minute) over (
            partition by session_date, run_id order by minute_at
            rows between unbounded preceding and unbounded following
        ) as next_minute_at
    from marked_minutes

),

every_minute as (

    select
        *,
        arrayJoin(range(toUInt32(dateDiff('minute', minute_at, next_minute_at)))) as minutes_since_mark
    from spaced

),

final as (

    select
        run_id,
        session_date,
        toDateTime64(every_minute.minute_at + toIntervalMinute(minutes_since_mark), 3, 'UTC') as minute_at,
        {{ to_ist('minute_at') }} as minute_at_ist,
        toUInt32(if(minutes_since_mark = 0, every_minute.marks, 0)) as marks,
        toUInt32(minutes_since_mark) as minutes_since_mark,
        realised_paise,
        unrealised_paise,
        charges_paise,
        net_pnl_paise,
        peak_paise,
        drawdown_paise,
        if(minutes_since_mark = 0, every_minute.deepest_drawdown_paise, drawdown_paise) as deepest_drawdown_paise,
        open_positions,
        toString(trading_state) as trading_state,
        {{ to_rupees('realised_paise') }} as realised_rupees,
        {{ to_rupees('unrealised_paise') }} as unrealised_rupees,
        {{ to_rupees('charges_paise') }} as charges_rupees,
        {{ to_rupees('net_pnl_paise') }} as net_pnl_rupees,
        {{ to_rupees('drawdown_paise') }} as drawdown_rupees
    from every_minute

)

select * from final
