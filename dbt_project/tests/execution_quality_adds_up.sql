-- What the orders and the trades tell one by one is what `fct_fill_quality` tells of the day.
with

quality as (

    select run_id, session_date, toInt64(sum(orders)) as orders, toInt64(sum(fills)) as fills, sum(filled_quantity) as quantity,
        sum(value_paise) as value_paise, sum(slippage_decision_paise) as slippage_paise
    from {{ ref('fct_fill_quality') }}
    group by run_id, session_date

),

orders as (

    select run_id, session_date, toInt64(count()) as orders, sum(filled_quantity) as quantity
    from {{ ref('fct_orders') }}
    group by run_id, session_date

),

trades as (

    select run_id, session_date, toInt64(count()) as fills, sum(value_paise) as value_paise,
        coalesce(sum(slippage_decision_paise), 0) as slippage_paise
    from {{ ref('fct_fills') }}
    group by run_id, session_date

)

select quality.run_id as run_id, quality.session_date as session_date
from quality
left join orders on quality.run_id = orders.run_id and quality.session_date = orders.session_date
left join trades on quality.run_id = trades.run_id and quality.session_date = trades.session_date
where (quality.orders, quality.quantity) != (orders.orders, orders.quantity)
    or (quality.fills, quality.value_paise, quality.slippage_paise) != (trades.fills, trades.value_paise, trades.slippage_paise)
