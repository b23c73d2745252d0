-- How complete the record of a run is, from the minutes that have marks.
with

minutes as (

    select * from {{ ref('fct_pnl_minutes') }}

),

exposure as (

    select * from {{ ref('fct_exposure_minutes') }}

),

starts as (

    select * from {{ ref('int_run_starts') }}

),

in_session as (

    select
        minutes.*,
        starts.open_at as open_at,
        minutes.minute_at >= starts.open_at and minutes.minute_at < starts.close_at as is_in_session
    from minutes
    inner join starts using (session_date, run_id)

),

after_cutoff as (

    select
        exposure.session_date as session_date,
        exposure.run_id as run_id,
        countIf(exposure.peak_open_positions > 0 and exposure.minute_at >= starts.force_flat_at) as minutes_open
    from exposure
    inner join starts using (session_date, run_id)
    group by session_date, run_id

),

marked as (

    select
        session_date,
        run_id,
        minIf(minute_at, marks > 0) as first_minute_at,
        maxIf(minute_at, marks > 0) as last_minute_at,
        countIf(is_in_session and marks > 0) as minutes_marked,
        maxIf(minutes_since_mark, is_in_session) as longest_gap_minutes,
        argMaxIf(minute_at, minutes_since_mark, is_in_session) as longest_gap_last_minute_at,
        argMax(trading_state, minute_at) as last_state,
        argMax(realised_paise, minute_at) as realised_paise,
        argMax(unrealised_paise, minute_at) as unrealised_paise,
        argMax(charges_paise, minute_at) as charges_paise,
        argMax(open_positions, minute_at) as open_positions
    from in_session
    group by session_date, run_id

),

final as (

    select
        marked.*,
        after_cutoff.minutes_open as minutes_open_after_cutoff
    from marked
    left join after_cutoff using (session_date, run_id)

)

select * from final
