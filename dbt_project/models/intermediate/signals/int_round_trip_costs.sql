{% set notional = round_trip_notional_paise() %}

with

days as (

    select distinct session_date from {{ ref('stg_runs') }}

),

rates as (

    select * from {{ ref('charge_rates') }}

),

-- the newest rates that began by the day; a day before the first of them pays the newest of all
dated as (

    select
        days.session_date as session_date,
        argMax(
            tuple(
                toFloat64(rates.brokerage_rate),
                toFloat64(rates.brokerage_cap_paise),
                toFloat64(rates.transaction_rate),
                toFloat64(rates.sebi_rate),
                toFloat64(rates.gst_rate),
                toFloat64(rates.stt_sell_rate),
                toFloat64(rates.stamp_buy_rate)
            )::Tuple(
                brokerage Float64, cap Float64, transaction Float64, sebi Float64, gst Float64, stt Float64, stamp Float64
            ),
            tuple(rates.valid_from <= days.session_date, rates.valid_from)
        ) as rate
    from days
    cross join rates
    group by session_date

),

charged as (

    select
        session_date,
        2 * least({{ notional }} * rate.brokerage, rate.cap) as brokerage_paise,
        2 * {{ notional }} * (rate.transaction + rate.sebi) as fees_paise,
        (brokerage_paise + fees_paise) * rate.gst as gst_paise,
        {{ notional }} * (rate.stt + rate.stamp) as taxes_paise
    from dated

),

final as (

    select
        session_date,
        (brokerage_paise + fees_paise + gst_paise + taxes_paise) / {{ notional }} * 1e4 as cost_bps
    from charged

)

select * from final
