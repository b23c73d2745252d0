-- Every trade that the archive has is in the ledger with all its shares, ours and the owner's together.
-- It waits for {{ ref('fct_pnl_daily') }}, so that a failure leaves the marts to be looked at.
with

told as (

    select run_id, order_id, trade_id, quantity, price_paise, log_offset from {{ ref('stg_fills') }}

    union all

    select run_id, order_id, trade_id, quantity, price_paise, log_offset from {{ ref('stg_foreign_fills') }}

),

trades as (

    select run_id, order_id, trade_id, argMin(told.quantity, log_offset) as shares
    from told
    where told.quantity > 0 and price_paise > 0
    group by run_id, order_id, trade_id

),

legs as (

    select run_id, order_id, trade_id, sum(quantity) as shares
    from {{ ref('int_ledger_legs') }}
    group by run_id, order_id, trade_id

)

select
    run_id,
    order_id,
    trade_id,
    trades.shares as traded,
    legs.shares as in_the_ledger
from trades
full outer join legs using (run_id, order_id, trade_id)
where traded != in_the_ledger
