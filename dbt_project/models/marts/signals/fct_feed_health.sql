with

runs as (

    select * from {{ ref('stg_runs') }}
    where {{ days_to_build() }}

),

watched as (

    select
        run_id,
        groupArray(token) as tokens,
        groupArray(toUnixTimestamp(continuous_close_at)) as closes_s
    from {{ ref('int_run_instruments') }}
    where {{ days_to_build() }}
    group by run_id

),

-- kept when the ticks themselves are gone; what has no time, or that of other hours, is placed on no minute
minutes as (

    select
        heard.run_id as run_id,
        intDiv(toUnixTimestamp(heard.minute_at), 60) as minute,
        sum(heard.tick_count) as ticks,
        groupUniqArray(heard.token) as tokens_heard,
        arrayMap(
            s -> minute * 60 + s,
            arrayFilter(s -> bitTest(groupBitOr(heard.seconds_seen), s), range(60))
        ) as seconds_heard
    from {{ ref('stg_tick_seconds') }} as heard
    inner join runs on heard.run_id = runs.run_id
    where
        {{ days_to_build('heard.session_date') }}
        and heard.minute_at >= runs.session_open_at
        and heard.minute_at < runs.session_close_at
    group by run_id, minute

),

ages as (

    select
        ticks.run_id as run_id,
        intDiv(toUnixTimestamp(assumeNotNull(ticks.exchange_at)), 60) as minute,
        quantilesExactInclusive(0.5, 0.95, 0.99)(
            (toUnixTimestamp64Nano(ticks.received_at) - toUnixTimestamp(assumeNotNull(ticks.exchange_at)) * 1000000000) / 1e6
        ) as ages_ms
    from {{ ref('stg_ticks') }} as ticks
    where
        {{ days_to_build('ticks.session_date') }}
        and isNotNull(ticks.exchange_at)
        and ticks.run_id in (select run_id from runs where mode = 'live')
    group by run_id, minute

),

spans as (

    select
        run_id,
        min(arrayMin(seconds_heard)) as first_s,
        max(arrayMax(seconds_heard)) as last_s
    from minutes
    group by run_id

),

spine as (

    select
        run_id,
        first_s,
        last_s,
        arrayJoin(range(intDiv(first_s, 60), intDiv(last_s, 60) + 1)) as minute,
        least(last_s + 1, (minute + 1) * 60) - greatest(first_s, minute * 60) as seconds_open
    from spans

),

silences as (

    select
        run_id,
        intDiv(second, 60) as minute,
        max(second - previous_second - 1) as longest_silence_s
    from (
        select
            run_id,
            arrayJoin(seconds_heard) as second,
            lagInFrame(toInt64(second), 1, toInt64(second) - 1) over (
                partition by run_id order by second rows between unbounded preceding and current row
            ) as previous_second
        from minutes
    )
    group by run_id, minute

),

quotes as (

    select
        run_id,
        intDiv(toUnixTimestamp(event_at), 60) as minute,
        quantilesExactInclusive(0.5, 0.95, 0.99)(
            (toUnixTimestamp64Nano(event_at) - toUnixTimestamp64Nano(quoted_at)) / 1e6
        ) as quote_ages_ms
    from {{ ref('stg_marks') }}
    where {{ days_to_build() }}
    group by run_id, minute

),

changes as (

    select
        changes.run_id as run_id,
        least(
            greatest(intDiv(toUnixTimestamp(changes.event_at), 60), intDiv(spans.first_s, 60)),
            intDiv(spans.last_s, 60)
        ) as minute,
        countIf(changes.feed_state = 'down') as feed_downs,
        countIf(changes.feed_state = 'up') as feed_ups
    from {{ ref('stg_feed_changes') }} as changes
    inner join spans on changes.run_id = spans.run_id
    where {{ days_to_build('changes.session_date') }}
    group by run_id, minute

),

letters as (

    select
        run_id,
        minute,
        sum(reason_letters) as dead_letters,
        mapFromArrays(groupArray(reason), groupArray(reason_letters)) as dead_letters_by_reason
    from (
        select
            letters.run_id as run_id,
            least(
                greatest(intDiv(toUnixTimestamp(letters.event_at), 60), intDiv(spans.first_s, 60)),
                intDiv(spans.last_s, 60)
            ) as minute,
            letters.reason as reason,
            sum(letters.letter_count) as reason_letters
        from {{ ref('stg_dead_letters') }} as letters
        inner join spans on letters.run_id = spans.run_id
        where {{ days_to_build('letters.session_date') }}
        group by run_id, minute, reason
    )
    group by run_id, minute

),

final as (

    select
        runs.run_id as run_id,
        runs.session_date as session_date,
        fromUnixTimestamp64Milli(toInt64(spine.minute) * 60000, 'UTC') as minute_at,
        {{ to_ist('minute_at') }} as minute_at_ist,
        minutes.ticks as ticks,
        toUInt32(spine.seconds_open) as seconds_open,
        toUInt32(spine.seconds_open - length(minutes.seconds_heard)) as seconds_without_ticks,
        toUInt32(silences.longest_silence_s) as longest_silence_s,
        if(empty(ages.ages_ms), null, ages.ages_ms[1]) as tick_age_p50_ms,
        if(empty(ages.ages_ms), null, ages.ages_ms[2]) as tick_age_p95_ms,
        if(empty(ages.ages_ms), null, ages.ages_ms[3]) as tick_age_p99_ms,
        if(empty(quotes.quote_ages_ms), null, quotes.quote_ages_ms[1]) as quote_age_p50_ms,
        if(empty(quotes.quote_ages_ms), null, quotes.quote_ages_ms[2]) as quote_age_p95_ms,
        if(empty(quotes.quote_ages_ms), null, quotes.quote_ages_ms[3]) as quote_age_p99_ms,
        toUInt64(arrayCount(close_s -> close_s > spine.minute * 60, watched.closes_s)) as instruments,
        toUInt64(
            arrayCount(
                (token, close_s) -> close_s > spine.minute * 60 and not has(minutes.tokens_heard, token),
                watched.tokens,
                watched.closes_s
            )
        ) as silent_instruments,
        changes.feed_downs as feed_downs,
        changes.feed_ups as feed_ups,
        letters.dead_letters as dead_letters,
        letters.dead_letters_by_reason as dead_letters_by_reason
    from spine
    inner join runs on spine.run_id = runs.run_id
    left join watched on spine.run_id = watched.run_id
    left join minutes on spine.run_id = minutes.run_id and spine.minute = minutes.minute
    left join ages on spine.run_id = ages.run_id and spine.minute = ages.minute
    left join silences on spine.run_id = silences.run_id and spine.minute = silences.minute
    left join quotes on spine.run_id = quotes.run_id and spine.minute = quotes.minute
    left join changes on spine.run_id = changes.run_id and spine.minute = changes.minute
    left join letters on spine.run_id = letters.run_id and spine.minute = letters.minute

)

select * from final
