with

orders as (

    select * from {{ ref('fct_orders') }}
    where {{ days_to_build() }}

),

fills as (

    select * from {{ ref('fct_fills') }}
    where {{ days_to_build() }}

),

ordered as (

    select
        run_id,
        session_date,
        strategy,
        token,
        any(orders.tradingsymbol) as tradingsymbol,
        toInt64(count()) as orders,
        toInt64(countIf(orders.filled_quantity >= orders.quantity)) as orders_filled,
        toInt64(countIf(orders.filled_quantity between 1 and orders.quantity - 1)) as orders_partly_filled,
        toInt64(countIf(orders.filled_quantity = 0)) as orders_unfilled,
        toInt64(countIf(orders.status = 'rejected')) as orders_rejected,
        toInt64(countIf(orders.was_unknown)) as orders_unknown,
        toInt64(countIf(orders.late_fills > 0)) as orders_filled_late,
        sum(orders.quantity) as ordered_quantity,
        sum(orders.filled_quantity) as filled_quantity,
        quantileExactIf(0.5)(orders.decision_to_first_fill_ms, orders.decision_to_first_fill_ms is not null) as median_fill_ms
    from orders
    group by run_id, session_date, strategy, token

),

-- basis points of the sums, so that a large fill counts as what it cost
paid as (

    select
        run_id,
        session_date,
        strategy,
        token,
        toInt64(count()) as fills,
        sum(fills.value_paise) as value_paise,
        sum(fills.slippage_decision_paise) as slippage_decision_paise,
        sumIf(fills.value_paise - fills.slippage_decision_paise * if(fills.side = 'BUY', 1, -1), fills.slippage_decision_paise is not null) as decided_paise,
        sum(fills.slippage_arrival_paise) as slippage_arrival_paise,
        sumIf(fills.value_paise - fills.slippage_arrival_paise * if(fills.side = 'BUY', 1, -1), fills.slippage_arrival_paise is not null) as arrived_paise,
        sumIf(fills.quantity, fills.slippage_arrival_paise is null) as quantity_without_arrival,
        avg(fills.arrival_spread_bps) as mean_arrival_spread_bps
    from fills
    group by run_id, session_date, strategy, token

),

final as (

    select
        ordered.run_id as run_id,
        ordered.session_date as session_date,
        ordered.strategy as strategy,
        ordered.token as token,
        ordered.tradingsymbol as tradingsymbol,
        ordered.orders as orders,
        ordered.orders_filled as orders_filled,
        ordered.orders_partly_filled as orders_partly_filled,
        ordered.orders_unfilled as orders_unfilled,
        ordered.orders_rejected as orders_rejected,
        ordered.orders_unknown as orders_unknown,
        ordered.orders_filled_late as orders_filled_late,
        ordered.ordered_quantity as ordered_quantity,
        ordered.filled_quantity as filled_quantity,
        ordered.filled_quantity / ordered.ordered_quantity as fill_rate,
        paid.fills as fills,
        paid.value_paise as value_paise,
        {{ to_rupees('paid.value_paise') }} as value_rupees,
        coalesce(paid.slippage_decision_paise, 0) as slippage_decision_paise,
        {{ to_rupees('slippage_decision_paise') }} as slippage_decision_rupees,
        {{ to_bps('slippage_decision_paise', 'paid.decided_paise') }} as slippage_decision_bps,
        coalesce(paid.slippage_arrival_paise, 0) as slippage_arrival_paise,
        {{ to_rupees('slippage_arrival_paise') }} as slippage_arrival_rupees,
        {{ to_bps('slippage_arrival_paise', 'paid.arrived_paise') }} as slippage_arrival_bps,
        paid.quantity_without_arrival as quantity_without_arrival,
        paid.mean_arrival_spread_bps as mean_arrival_spread_bps,
        ordered.median_fill_ms as median_fill_ms
    from ordered
    left join paid
        on ordered.run_id = paid.run_id and ordered.session_date = paid.session_date
        and ordered.strategy = paid.strategy and ordered.token = paid.token

)

select * from final
