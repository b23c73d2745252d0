-- What a run traded, ours and not ours.
with

legs as (

    select * from {{ ref('int_ledger_legs') }}

),

final as (

    select
        session_date,
        run_id,
        uniqExactIf((order_id, trade_id), whose = 'ours') as fill_count,
        uniqExactIf((token, trip_number), whose = 'ours') as round_trips,
        uniqExactIf((order_id, trade_id), is_foreign) as foreign_fill_count,
        sumIf(realised_paise, whose = 'owner') as owners_realised_paise,
        sumIf(charges_paise, whose = 'owner') as owners_charges_paise
    from legs
    group by session_date, run_id

)

select * from final
