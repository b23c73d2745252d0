{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key='session_date',
    engine='MergeTree()',
    order_by=['session_date', 'run_id', 'token', 'close_at'],
    partition_by='toYYYYMM(session_date)',
    on_schema_change='fail',
    pre_hook="{{ forget_built_days() }}",
    post_hook="{{ note_built_days() }}"
) }}

{% set minutes = (label_horizon_s() | int) // 60 %}

with

closes as (

    select
        run_id,
        session_date,
        token,
        close_at,
        any(event_at) as decided_at,
        intDiv(toUnixTimestamp64Nano(close_at), 60000000000) as minute
    from {{ ref('stg_scores') }}
    where {{ days_to_build() }} and interval_s = 60
    group by run_id, session_date, token, close_at

),

bars as (

    select run_id, token, close_at, close_paise
    from {{ ref('stg_bars') }}
    where {{ days_to_build() }} and interval_s = 60 and not backfilled

),

graces as (

    select
        run_id,
        any(toUnixTimestamp64Nano(decided_at) - toUnixTimestamp64Nano(close_at)) as grace_ns
    from closes
    group by run_id

),

quotes as (

    select
        marks.run_id as run_id,
        marks.token as token,
        intDiv(toUnixTimestamp64Nano(marks.event_at) - 1 - graces.grace_ns, 60000000000) as minute,
        argMin(marks.last_paise, marks.event_at) as first_last_paise,
        argMin(coalesce(marks.ask_paise, marks.last_paise), marks.event_at) as first_ask_paise,
        argMax(marks.last_paise, marks.event_at) as last_last_paise,
        argMax(coalesce(marks.bid_paise, marks.last_paise), marks.event_at) as last_bid_paise
    from {{ ref('stg_marks') }} as marks
    inner join graces on marks.run_id = graces.run_id
    where {{ days_to_build('marks.session_date') }} and marks.last_paise > 0
    group by run_id, token, minute

),

priced as (

    select
        closes.*,
        bars.close_paise as close_paise
    from closes
    asof left join bars
        on closes.run_id = bars.run_id and closes.token = bars.token and closes.close_at >= bars.close_at

),

quoted as (

    select
        priced.*,
        quotes.first_last_paise as first_last_paise,
        quotes.first_ask_paise as first_ask_paise,
        quotes.last_last_paise as last_last_paise,
        quotes.last_bid_paise as last_bid_paise
    from priced
    left join quotes
        on priced.run_id = quotes.run_id and priced.token = quotes.token and priced.minute = quotes.minute

),

later as (

    select
        *,
        any(close_paise) over at_horizon as later_close_paise,
        any(last_last_paise) over before_horizon as later_last_paise,
        any(last_bid_paise) over before_horizon as later_bid_paise
    from quoted
    window
        at_horizon as (
            partition by run_id, token order by minute
            range between {{ minutes }} following and {{ minutes }} following
        ),
        before_horizon as (
            partition by run_id, token order by minute
            range between {{ minutes - 1 }} following and {{ minutes - 1 }} following
        )

),

costs as (

    select * from {{ ref('int_round_trip_costs') }}
    where {{ days_to_build() }}

),

final as (

    select
        later.run_id as run_id,
        later.session_date as session_date,
        later.token as token,
        later.close_at as close_at,
        later.close_paise > 0 and later.later_close_paise > 0 as is_labelled,
        if(
            is_labelled,
            (later.later_close_paise - later.close_paise) * 1e4 > {{ label_cost_bps() }} * later.close_paise,
            null
        ) as label,
        if(is_labelled, (later.later_close_paise - later.close_paise) * 1e4 / later.close_paise, null) as label_move_bps,
        is_labelled and later.first_ask_paise > 0 and later.later_bid_paise > 0 as is_tradable,
        if(
            is_tradable,
            (later.later_last_paise - later.first_last_paise) * 1e4 / later.first_last_paise,
            null
        ) as move_bps,
        if(
            is_tradable,
            (later.later_bid_paise - later.first_ask_paise) * 1e4 / later.first_ask_paise - costs.cost_bps,
            null
        ) as net_return_bps
    from later
    left join costs on later.session_date = costs.session_date

)

select * from final
