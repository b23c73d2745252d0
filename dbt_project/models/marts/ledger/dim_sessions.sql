{{ config(materialized='table', pre_hook=[], post_hook=[]) }}
-- Made anew each time: one small row per run, and a day is told beside the one before (renamed symbols).
with

starts as (

    select * from {{ ref('int_run_starts') }}

),

minutes as (

    select * from {{ ref('int_run_minutes') }}

),

trades as (

    select * from {{ ref('int_run_trades') }}

),

commands as (

    select * from {{ ref('stg_commands') }}

),

feed_changes as (

    select * from {{ ref('stg_feed_changes') }}

),

renames as (

    select * from {{ ref('int_renames') }}

),

calendar as (

    select * from {{ ref('sessions') }}

),

stops as (

    select
        session_date,
        run_id,
        maxIf(event_at, command in ('end_of_day', 'flatten')) as stopped_at
    from commands
    group by session_date, run_id

),

feed as (

    select
        session_date,
        run_id,
        countIf(feed_state = 'down') as feed_losses
    from feed_changes
    group by session_date, run_id

),

renamed_days as (

    select
        session_date,
        arraySort(groupArray(concat(former_tradingsymbol, ' -> ', tradingsymbol))) as renamed
    from renames
    group by session_date

),

counted as (

    select
        starts.*,
        minutes.* except (session_date, run_id),
        minutes.run_id != '' as has_marks,
        dateDiff('minute', open_at, close_at) as minutes_expected,
        minutes_expected - minutes_marked as minutes_missing
    from starts
    left join minutes using (session_date, run_id)

),

stopped as (

    select
        counted.*,
        multiIf(
            has_marks and last_minute_at >= close_at - interval 1 minute, 'at_close',
            stops.stopped_at > toDateTime64(0, 9, 'UTC'), 'stopped_early',
            'broken_off'
        ) as ended
    from counted
    left join stops using (session_date, run_id)

),

with_trades as (

    select
        stopped.*,
        trades.* except (session_date, run_id)
    from stopped
    left join trades using (session_date, run_id)

),

with_feed as (

    select with_trades.*, feed.feed_losses as feed_losses
    from with_trades
    left join feed using (session_date, run_id)

),

with_names as (

    select with_feed.*, renamed_days.renamed as renamed
    from with_feed
    left join renamed_days using (session_date)

),

in_calendar as (

    select
        with_names.*,
        if(calendar.kind = '', 'unlisted', toString(calendar.kind)) as session_kind,
        calendar.name as session_name
    from with_names
    left join calendar using (session_date)

),

described as (

    select
        *,
        round(dateDiff('second', open_at, close_at) / 3600, 2) as session_hours,
        session_hours < 5 as is_short_session,
        arrayFilter(words -> words != '', [
            multiIf(session_kind = 'muhurat', 'Muhurat session', is_short_session, 'half day', ''),
            if(fill_count = 0, 'no trades', ''),
            multiIf(
                ended = 'stopped_early', concat('stopped early, last mark ', {{ ledger_clock('last_minute_at') }}),
                ended = 'broken_off' and has_marks,
                    concat('broken off or still running, last mark ', {{ ledger_clock('last_minute_at') }}),
                ended = 'broken_off', 'never marked',
                ''
            ),
            if(minutes_missing > 0, concat(toString(round(minutes_missing / 60, 1)), ' h missing'), ''),
            if(open_positions > 0, concat(toString(open_positions), ' positions open at the last mark'), ''),
            if(notEmpty(renamed), concat('renamed: ', arrayStringConcat(renamed, ', ')), '')
        ]) as remarks
    from in_calendar

),

final as (

    select
        run_id,
        session_date,
        toString(mode) as mode,
        config_hash,
        session_kind,
        session_name,
        session_hours,
        toBool(is_short_session) as is_short_session,
        ended,
        toBool(minutes_missing = 0 and ended = 'at_close') as is_complete,
        if(empty(remarks), 'complete', arrayStringConcat(remarks, '; ')) as what_it_was,
        started_at,
        open_at,
        {{ to_ist('open_at') }} as open_at_ist,
        close_at,
        {{ to_ist('close_at') }} as close_at_ist,
        if(has_marks, first_minute_at, null) as first_mark_at,
        {{ to_ist('first_mark_at') }} as first_mark_at_ist,
        if(has_marks, last_minute_at, null) as last_mark_at,
        {{ to_ist('last_mark_at') }} as last_mark_at_ist,
        minutes_expected,
        minutes_marked,
        minutes_missing,
        round(minutes_missing / 60, 2) as hours_missing,
        longest_gap_minutes,
        if(longest_gap_minutes > 0, longest_gap_last_minute_at - toIntervalMinute(longest_gap_minutes - 1), null)
            as longest_gap_at,
        feed_losses,
        last_state,
        arraySort(strategies) as strategies,
        instrument_count,
        renamed,
        fill_count,
        round_trips,
        foreign_fill_count,
        open_positions,
        minutes_open_after_cutoff,
        realised_paise,
        unrealised_paise,
        charges_paise,
        realised_paise + unrealised_paise - charges_paise as net_pnl_paise,
        owners_realised_paise,
        owners_charges_paise,
        {{ to_rupees('realised_paise') }} as realised_rupees,
        {{ to_rupees('unrealised_paise') }} as unrealised_rupees,
        {{ to_rupees('charges_paise') }} as charges_rupees,
        {{ to_rupees('net_pnl_paise') }} as net_pnl_rupees,
        toBool(counts_in_performance) as counts_in_performance
    from described

)

select * from final
