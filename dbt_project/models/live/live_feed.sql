with

tick_minutes as (

    select * from {{ ref('stg_tick_minutes') }}
    where {{ of_newest_run() }} and begins_at is not null

),

letters as (

    select toStartOfMinute(event_at) as minute_at, sum(letter_count) as dead_letters
    from {{ ref('stg_dead_letters') }}
    where {{ of_newest_run() }}
    group by minute_at

),

quotes as (

    select
        toStartOfMinute(event_at) as minute_at,
        quantilesExactInclusive(0.5, 0.95)(
            (toUnixTimestamp64Nano(event_at) - toUnixTimestamp64Nano(quoted_at)) / 1e6
        ) as ages_ms
    from {{ ref('stg_marks') }}
    where {{ of_newest_run() }}
    group by minute_at

),

changes as (

    select argMax(feed_state, log_offset) as feed_state
    from {{ ref('stg_feed_changes') }}
    where {{ of_newest_run() }}

),

minutes as (

    select
        run_id,
        session_date,
        assumeNotNull(tick_minutes.begins_at) as minute_at,
        sum(tick_count) as ticks,
        uniqExact(token) as instruments,
        sum(tick_count * mean_delay_ms) / sum(tick_count) as mean_delay_ms,
        max(tick_minutes.max_delay_ms) as max_delay_ms,
        min(seconds_with_ticks) as fewest_seconds_with_ticks
    from tick_minutes
    group by run_id, session_date, minute_at

),

final as (

    select
        minutes.run_id as run_id,
        minutes.session_date as session_date,
        minutes.minute_at as minute_at,
        {{ to_ist('minutes.minute_at') }} as minute_at_ist,
        minutes.minute_at = max(minutes.minute_at) over () as is_newest,
        minutes.ticks as ticks,
        minutes.instruments as instruments,
        minutes.mean_delay_ms as mean_delay_ms,
        minutes.max_delay_ms as max_delay_ms,
        if(empty(quotes.ages_ms), null, quotes.ages_ms[1]) as quote_age_p50_ms,
        if(empty(quotes.ages_ms), null, quotes.ages_ms[2]) as quote_age_p95_ms,
        minutes.fewest_seconds_with_ticks as fewest_seconds_with_ticks,
        letters.dead_letters as dead_letters,
        (select feed_state from changes) as feed_state
    from minutes
    left join letters on letters.minute_at = minutes.minute_at
    left join quotes on quotes.minute_at = minutes.minute_at

)

select * from final
