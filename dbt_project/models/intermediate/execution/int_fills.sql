-- A trade that was archived twice is one trade; `fct_reconciliation` says that it stands there twice.
with

fills as (

    select * from {{ ref('stg_fills') }}

),

final as (

    select *
    from fills
    qualify row_number() over (partition by session_date, run_id, order_id, trade_id order by log_offset) = 1

)

select * from final
