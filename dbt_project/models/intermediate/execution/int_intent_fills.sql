with

fills as (

    select * from {{ ref('int_fills') }}

),

final as (

    select
        run_id,
        session_date,
        intent_id,
        toInt64(count()) as fill_count,
        sum(fills.quantity) as filled_quantity,
        sum(fills.quantity * fills.price_paise) as filled_value_paise,
        minOrNull(filled_at) as first_filled_at,
        maxOrNull(filled_at) as last_filled_at
    from fills
    group by run_id, session_date, intent_id

)

select * from final
