-- From one leg of a position to the next nothing happens between, and a leg moves it by its shares.
-- It waits for {{ ref('fct_pnl_daily') }}, so that a failure leaves the marts to be looked at.
with

legs as (

    select
        *,
        lagInFrame(position_after, 1, 0) over (
            partition by session_date, run_id, whose, token order by leg_number
            rows between unbounded preceding and current row
        ) as stood_at
    from {{ ref('int_ledger_legs') }}

)

select * from legs
where position_before != stood_at
    or position_after != position_before + if(side = 'BUY', quantity, -quantity)
    or (position_after = 0) != (cost_after_paise = 0)
