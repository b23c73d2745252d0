with

runs as (

    select * from {{ ref('stg_runs') }}
    where {{ days_to_build() }}

),

instruments as (

    select * from {{ ref('int_run_instruments') }}
    where {{ days_to_build() }}

),

-- kept when the ticks themselves are gone
minutes as (

    select
        heard.run_id as run_id,
        heard.token as token,
        heard.tick_count as tick_count,
        toUnixTimestamp(heard.minute_at) as minute_s,
        heard.minute_at >= runs.session_open_at and heard.minute_at < runs.session_close_at as in_session,
        arrayMap(s -> minute_s + s, arrayFilter(s -> bitTest(heard.seconds_seen, s), range(60))) as seconds
    from {{ ref('stg_tick_seconds') }} as heard
    inner join runs on heard.run_id = runs.run_id
    where {{ days_to_build('heard.session_date') }}

),

counted as (

    select
        run_id,
        token,
        sum(tick_count) as ticks,
        sumIf(tick_count, in_session) as session_ticks,
        sumIf(tick_count, minute_s = 0) as undated_ticks,
        countIf(in_session) as minutes_heard,
        arraySort(groupArrayArrayIf(seconds, in_session)) as seconds_heard
    from minutes
    group by run_id, token

),

in_log_order as (

    select
        run_id,
        token,
        toUnixTimestamp(coalesce(exchange_at, toDateTime64(0, 3, 'UTC'))) as at_s,
        volume,
        last_paise,
        lagInFrame(at_s, 1, 0) over before as previous_at_s,
        lagInFrame(volume, 1, 0) over before as previous_volume,
        lagInFrame(last_paise, 1, -1) over before as previous_last_paise
    from {{ ref('stg_ticks') }}
    where {{ days_to_build() }}
    window before as (
        partition by run_id, token order by log_offset, row
        rows between unbounded preceding and current row
    )

),

oddities as (

    select
        run_id,
        token,
        count() as looked_at,
        countIf(at_s > 0 and at_s < previous_at_s) as late_ticks,
        countIf(at_s > 0 and at_s = previous_at_s and volume = previous_volume and last_paise = previous_last_paise)
            as repeated_ticks,
        countIf(at_s > 0 and volume < previous_volume) as volume_falls
    from in_log_order
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
        if(empty(counted.seconds_heard), null, fromUnixTimestamp64Milli(toInt64(counted.seconds_heard[1]) * 1000, 'UTC')) as first_tick_at,
        {{ to_ist('first_tick_at') }} as first_tick_at_ist,
        if(empty(counted.seconds_heard), null, fromUnixTimestamp64Milli(toInt64(counted.seconds_heard[-1]) * 1000, 'UTC')) as last_tick_at,
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
        if(oddities.looked_at = 0, null, oddities.repeated_ticks) as repeated_ticks,
        if(oddities.looked_at = 0, null, oddities.late_ticks) as late_ticks,
        counted.undated_ticks as undated_ticks,
        if(oddities.looked_at = 0, null, oddities.volume_falls) as volume_falls,
        bars.minute_bars as minute_bars,
        bars.backfilled_bars as backfilled_bars
    from instruments
    inner join runs on instruments.run_id = runs.run_id
    left join counted on instruments.run_id = counted.run_id and instruments.token = counted.token
    left join oddities on instruments.run_id = oddities.run_id and instruments.token = oddities.token
    left join bars on instruments.run_id = bars.run_id and instruments.token = bars.token

)

select * from final
