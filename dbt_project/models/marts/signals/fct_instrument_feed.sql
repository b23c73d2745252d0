with

runs as (

    select * from {{ ref('stg_runs') }}
    where {{ days_to_build() }}

),

instruments as (

    select * from {{ ref('int_run_instruments') }}
    where {{ days_to_build() }}

),

ticks as (

    select
        ticks.run_id as run_id,
        ticks.token as token,
        ticks.exchange_at as exchange_at,
        toUnixTimestamp(coalesce(ticks.exchange_at, toDateTime64(0, 3, 'UTC'))) as at_s,
        at_s >= toUnixTimestamp(runs.session_open_at) and at_s < toUnixTimestamp(runs.session_close_at) as in_session,
        ticks.volume as volume,
        ticks.last_paise as last_paise,
        lagInFrame(at_s, 1, 0) over in_log_order as previous_at_s,
        lagInFrame(ticks.volume, 1, 0) over in_log_order as previous_volume,
        lagInFrame(ticks.last_paise, 1, -1) over in_log_order as previous_last_paise
    from {{ ref('stg_ticks') }} as ticks
    inner join runs on ticks.run_id = runs.run_id
    where {{ days_to_build('ticks.session_date') }}
    window in_log_order as (
        partition by ticks.run_id, ticks.token order by ticks.log_offset, ticks.row
        rows between unbounded preceding and current row
    )

),

counted as (

    select
        run_id,
        token,
        count() as ticks,
        countIf(in_session) as session_ticks,
        countIf(at_s = 0) as undated_ticks,
        countIf(at_s > 0 and at_s < previous_at_s) as late_ticks,
        countIf(at_s > 0 and at_s = previous_at_s and volume = previous_volume and last_paise = previous_last_paise)
            as repeated_ticks,
        countIf(in_session and volume < previous_volume) as volume_falls,
        minIf(exchange_at, in_session) as first_tick_at,
        maxIf(exchange_at, in_session) as last_tick_at,
        arraySort(groupUniqArrayIf(at_s, in_session)) as seconds_heard,
        uniqExactIf(intDiv(at_s, 60), in_session) as minutes_heard
    from ticks
    group by run_id, token

),

bars as (

    select
        run_id,
        token,
        countIf(not backfilled) as minute_bars,
        countIf(backfilled) as backfilled_bars
    from {{ ref('stg_bars') }}
    where {{ days_to_build() }} and interval_s = 60
    group by run_id, token

),

final as (

    select
        instruments.run_id as run_id,
        instruments.session_date as session_date,
        instruments.token as token,
        instruments.tradingsymbol as tradingsymbol,
        counted.ticks as ticks,
        counted.session_ticks as session_ticks,
        if(counted.session_ticks = 0, null, counted.first_tick_at) as first_tick_at,
        {{ to_ist('first_tick_at') }} as first_tick_at_ist,
        if(counted.session_ticks = 0, null, counted.last_tick_at) as last_tick_at,
        {{ to_ist('last_tick_at') }} as last_tick_at_ist,
        length(counted.seconds_heard) as seconds_heard,
        if(
            length(counted.seconds_heard) < 2,
            null,
            toUInt32(arrayMax(arrayPopFront(arrayDifference(counted.seconds_heard))) - 1)
        ) as longest_silence_s,
        counted.minutes_heard as minutes_heard,
        toUInt32(
            intDiv(toUnixTimestamp(least(instruments.continuous_close_at, runs.session_close_at)) + 59
                - toUnixTimestamp(runs.session_open_at), 60)
        ) as session_minutes,
        counted.repeated_ticks as repeated_ticks,
        counted.late_ticks as late_ticks,
        counted.undated_ticks as undated_ticks,
        counted.volume_falls as volume_falls,
        bars.minute_bars as minute_bars,
        bars.backfilled_bars as backfilled_bars
    from instruments
    inner join runs on instruments.run_id = runs.run_id
    left join counted on instruments.run_id = counted.run_id and instruments.token = counted.token
    left join bars on instruments.run_id = bars.run_id and instruments.token = bars.token

)

select * from final
