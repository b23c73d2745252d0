with

intents as (

    select run_id, session_date, intent_id, token, event_at
    from {{ ref('stg_intents') }}

),

opened as (

    select run_id, session_date, intent_id, min(opened_at) as opened_at
    from {{ ref('int_child_orders') }}
    group by run_id, session_date, intent_id

),

-- an intent the gateway never took up arrives when it was decided
arrivals as (

    select
        intents.run_id as run_id,
        intents.session_date as session_date,
        intents.intent_id as intent_id,
        intents.token as token,
        coalesce(opened.opened_at, intents.event_at) as arrived_at
    from intents
    left join opened
        on intents.run_id = opened.run_id and intents.session_date = opened.session_date
        and intents.intent_id = opened.intent_id

),

-- only the minutes before an arrival: a quote older than that is none, and a month of marks need not be joined
near as (

    select run_id, session_date, token, arrayJoin([0, 1]) as back, toStartOfMinute(arrived_at) - toIntervalMinute(back) as minute
    from arrivals

),

marks as (

    select run_id, session_date, token, event_at, last_paise, bid_paise, ask_paise
    from {{ ref('stg_marks') }}
    where (run_id, session_date, token, toStartOfMinute(event_at)) in (select run_id, session_date, token, minute from near)

),

final as (

    select
        arrivals.run_id as run_id,
        arrivals.session_date as session_date,
        arrivals.intent_id as intent_id,
        arrivals.arrived_at as arrived_at,
        {{ null_if_epoch('marks.event_at') }} as quoted_at,
        nullIf(marks.last_paise, 0) as arrival_last_paise,
        marks.bid_paise as arrival_bid_paise,
        marks.ask_paise as arrival_ask_paise
    from arrivals
    asof left join marks
        on arrivals.run_id = marks.run_id and arrivals.session_date = marks.session_date
        and arrivals.token = marks.token and arrivals.arrived_at >= marks.event_at

)

select * from final
