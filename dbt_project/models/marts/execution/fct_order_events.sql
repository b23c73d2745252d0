with

lines as (

    select * from {{ ref('stg_orders') }}
    where {{ days_to_build() }}

),

final as (

    select
        run_id,
        session_date,
        toInt64(producer_seq) as line,
        intent_id,
        slice,
        order_id,
        strategy,
        token,
        tradingsymbol,
        purpose,
        side,
        line_kind,
        lagInFrame(status, 1, '') over life as previous_status,
        status,
        quantity,
        filled_quantity,
        price_paise,
        trade_id,
        detail,
        latency_ms as request_ms,
        event_at,
        event_at_ist,
        emitted_at
    from lines
    window life as (
        partition by run_id, session_date, intent_id, slice order by producer_seq
        rows between 1 preceding and current row
    )

)

select * from final
