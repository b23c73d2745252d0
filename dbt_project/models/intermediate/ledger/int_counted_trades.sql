-- The decision fold counts a trade when the session log first tells it, and refuses one without quantity or price.
with

fills as (

    select * from {{ ref('stg_fills') }}

),

foreign_fills as (

    select * from {{ ref('stg_foreign_fills') }}

),

told as (

    select
        run_id, session_date, token, order_id, trade_id, side, quantity, price_paise, filled_at, event_at, log_offset,
        intent_id,
        false as is_foreign,
        '' as placed_by,
        false as by_broker
    from fills

    union all

    select
        run_id, session_date, token, order_id, trade_id, side, quantity, price_paise, filled_at, event_at, log_offset,
        '' as intent_id,
        true as is_foreign,
        placed_by,
        by_broker
    from foreign_fills

),

final as (

    select *
    from told
    where quantity > 0 and price_paise > 0
    qualify row_number() over (
        partition by session_date, run_id, is_foreign, order_id, trade_id
        order by log_offset
    ) = 1

)

select * from final
