with

signals as (

    select
        run_id,
        session_date,
        event_at,
        'tick_to_signal' as stage,
        {{ ms_between('received_at', 'emitted_at') }} as latency_ms
    from {{ ref('stg_signals') }}

),

orders as (

    select
        run_id,
        session_date,
        decided_at as event_at,
        arrayJoin([
            ('signal_to_enqueued', signal_to_enqueued_ms),
            ('tick_to_enqueued', tick_to_enqueued_ms),
            ('enqueued_to_journal', enqueued_to_journal_ms),
            ('enqueued_to_submit', enqueued_to_submit_ms),
            ('tick_to_submit', tick_to_submit_ms),
            ('enqueued_to_reply', enqueued_to_reply_ms),
            ('tick_to_reply', tick_to_reply_ms),
            ('reply_to_fill_told', reply_to_fill_told_ms),
            ('decision_to_first_fill', decision_to_first_fill_ms),
            ('decision_to_end', decision_to_end_ms)
        ]) as sample,
        sample.1 as stage,
        sample.2 as latency_ms
    from {{ ref('fct_orders') }}

),

requests as (

    select run_id, session_date, event_at, 'request' as stage, latency_ms
    from {{ ref('stg_orders') }}
    where line_kind in ('accepted', 'rejected', 'throttled', 'unknown')

),

marks as (

    select run_id, session_date, event_at, 'tick_to_mark' as stage, {{ ms_between('received_at', 'emitted_at') }} as latency_ms
    from {{ ref('stg_marks') }}
    where row = 0

),

final as (

    select run_id, session_date, event_at, stage, latency_ms from signals
    union all
    select run_id, session_date, event_at, stage, latency_ms from orders
    union all
    select run_id, session_date, event_at, stage, latency_ms from requests
    union all
    select run_id, session_date, event_at, stage, latency_ms from marks

)

select * from final
where latency_ms is not null
