with

lines as (

    select * from {{ ref('stg_orders') }}

),

-- the gateway numbers its lines without gaps: `producer_seq` is the order in which they happened
children as (

    select
        run_id,
        session_date,
        intent_id,
        slice,
        max(lines.order_id) as order_id,
        any(lines.token) as token,
        max(lines.quantity) as quantity,
        max(lines.filled_quantity) as filled_quantity,
        argMax(lines.status, producer_seq) as status,
        argMaxIf(lines.line_kind, producer_seq, lines.line_kind in ('accepted', 'rejected', 'throttled', 'unknown')) as outcome,
        argMaxIf(lines.detail, producer_seq, lines.line_kind in ('rejected', 'throttled', 'unknown')) as outcome_detail,
        argMax(lines.detail, (lines.detail != '', producer_seq)) as last_detail,
        maxIf(lines.latency_ms, lines.line_kind in ('accepted', 'rejected', 'throttled', 'unknown')) as request_ms,
        toBool(max(lines.status = 'unknown')) as was_unknown,
        toInt64(countIf(lines.line_kind = 'fill')) as fill_lines,
        toInt64(countIf(lines.line_kind = 'fill' and lines.status in ('cancelled', 'rejected'))) as late_fill_lines,
        minOrNullIf(lines.event_at, lines.line_kind = 'submitting') as opened_at,
        minOrNullIf(lines.emitted_at, lines.line_kind = 'submitting') as journaled_at,
        max(lines.submitted_at) as submitted_at,
        max(lines.submitted_event_at) as submitted_event_at,
        minOrNullIf(lines.event_at, lines.line_kind in ('accepted', 'rejected', 'throttled', 'unknown')) as answered_at,
        minOrNullIf(lines.emitted_at, lines.line_kind in ('accepted', 'rejected', 'throttled', 'unknown')) as replied_at,
        minOrNullIf(lines.emitted_at, lines.line_kind = 'fill') as first_fill_told_at,
        minOrNullIf(lines.event_at, lines.status in ('filled', 'cancelled', 'rejected')) as ended_at,
        minOrNullIf(lines.emitted_at, lines.status in ('filled', 'cancelled', 'rejected')) as end_told_at
    from lines
    group by run_id, session_date, intent_id, slice

),

final as (

    select
        *,
        if(outcome in ('rejected', 'throttled'), extract(outcome_detail, '^([A-Za-z_]+): '), '') as refusal_code
    from children

)

select * from final
