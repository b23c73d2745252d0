{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key='session_date',
    engine='MergeTree()',
    order_by=['session_date', 'run_id', 'strategy', 'horizon_s'],
    partition_by='toYYYYMM(session_date)',
    on_schema_change='fail',
    pre_hook="{{ forget_built_days() }}",
    post_hook="{{ note_built_days() }}"
) }}

with

signals as (

    select
        *,
        if(side = 'BUY', 1, -1) as direction
    from {{ ref('stg_signals') }}
    where {{ days_to_build() }} and side in ('BUY', 'SELL')

),

instruments as (

    select * from {{ ref('int_run_instruments') }}
    where {{ days_to_build() }}

),

costs as (

    select * from {{ ref('int_round_trip_costs') }}
    where {{ days_to_build() }}

),

wanted_minutes as (

    select distinct
        run_id,
        token,
        arrayJoin(
            arrayFlatten(
                arrayMap(
                    s -> [toStartOfMinute(event_at + toIntervalSecond(s)), toStartOfMinute(event_at + toIntervalSecond(s - 60))],
                    arrayConcat([0, 60], {{ decay_horizons_s() }}, [horizon_s])
                )
            )
        ) as minute
    from signals

),

marks as (

    select
        run_id,
        token,
        event_at as marked_at,
        last_paise,
        coalesce(bid_paise, last_paise) as bid_paise,
        coalesce(ask_paise, last_paise) as ask_paise
    from {{ ref('stg_marks') }}
    where
        {{ days_to_build() }}
        and last_paise > 0
        and (run_id, token, toStartOfMinute(event_at)) in (select run_id, token, minute from wanted_minutes)

),

entered as (

    select
        signals.run_id as run_id,
        signals.session_date as session_date,
        signals.signal_id as signal_id,
        signals.strategy as strategy,
        signals.token as token,
        signals.tradingsymbol as tradingsymbol,
        signals.direction as direction,
        signals.strength as strength,
        signals.event_at as decided_at,
        signals.horizon_s as own_horizon_s,
        if(
            marks.last_paise > 0 and marks.marked_at <= signals.event_at + toIntervalSecond({{ stale_price_s() }}),
            marks.marked_at,
            null
        ) as entered_at,
        marks.last_paise as entry_last_paise,
        if(signals.direction = 1, marks.ask_paise, marks.bid_paise) as entry_paise
    from signals
    asof left join marks
        on
            signals.run_id = marks.run_id
            and signals.token = marks.token
            and signals.event_at < marks.marked_at

),

horizons as (

    select
        *,
        arrayJoin(arrayDistinct(arrayConcat({{ decay_horizons_s() }}, [own_horizon_s]))) as horizon_s,
        decided_at + toIntervalSecond(horizon_s) as due_at
    from entered

),

left_at as (

    select
        horizons.*,
        marks.last_paise as exit_last_paise,
        if(horizons.direction = 1, marks.bid_paise, marks.ask_paise) as exit_paise,
        if(
            marks.last_paise > 0 and marks.marked_at >= horizons.due_at - toIntervalSecond({{ stale_price_s() }}),
            marks.marked_at,
            null
        ) as exited_at
    from horizons
    asof left join marks
        on
            horizons.run_id = marks.run_id
            and horizons.token = marks.token
            and horizons.due_at >= marks.marked_at

),

judged as (

    select
        left_at.run_id as run_id,
        left_at.session_date as session_date,
        left_at.signal_id as signal_id,
        left_at.strategy as strategy,
        left_at.token as token,
        left_at.tradingsymbol as tradingsymbol,
        left_at.direction as direction,
        left_at.strength as strength,
        left_at.decided_at as decided_at,
        left_at.own_horizon_s as own_horizon_s,
        left_at.horizon_s as horizon_s,
        left_at.due_at as due_at,
        left_at.entered_at as entered_at,
        left_at.exited_at as exited_at,
        left_at.entry_last_paise as entry_last_paise,
        left_at.exit_last_paise as exit_last_paise,
        left_at.entry_paise as entry_paise,
        left_at.exit_paise as exit_paise,
        costs.cost_bps as cost_bps,
        multiIf(
            isNull(left_at.entered_at), 'no_entry_price',
            left_at.due_at > instruments.continuous_close_at, 'session_end',
            isNull(left_at.exited_at) or left_at.exited_at < left_at.entered_at, 'no_exit_price',
            'complete'
        ) as outcome
    from left_at
    inner join instruments
        on left_at.run_id = instruments.run_id and left_at.token = instruments.token
    left join costs
        on left_at.session_date = costs.session_date

),

final as (

    select
        run_id,
        session_date,
        signal_id,
        strategy,
        token,
        tradingsymbol,
        direction,
        strength,
        decided_at,
        horizon_s,
        horizon_s = own_horizon_s as is_own_horizon,
        has({{ decay_horizons_s() }}, horizon_s) as is_decay_horizon,
        due_at,
        outcome,
        entered_at,
        if(outcome = 'complete', exited_at, null) as exited_at,
        cost_bps,
        if(
            outcome = 'complete',
            (exit_last_paise - entry_last_paise) / entry_last_paise * 1e4,
            null
        ) as move_bps,
        if(outcome = 'complete', direction * (exit_paise - entry_paise) / entry_paise * 1e4, null) as gross_return_bps,
        gross_return_bps - cost_bps as net_return_bps
    from judged

)

select * from final
