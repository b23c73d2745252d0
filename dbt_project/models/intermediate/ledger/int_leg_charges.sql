-- Charges of each leg, unrounded, by the rates of its day (kitepilot/orders/charges.py): brokerage is capped per
-- executed order, so a leg pays what it adds to its order's; everything else follows the value.
{%- set places = 8 %}
{%- set turnover = 'toDecimal128(value_paise, 0)' %}
with

legs as (

    select * from {{ ref('int_position_legs') }}

),

charge_rates as (

    select * from {{ ref('charge_rates') }}

),

rates as (

    select
        valid_from,
        valid_to,
        toDecimal128(brokerage_rate, {{ places }}) as brokerage_rate,
        toDecimal128(brokerage_cap_paise, {{ places }}) as brokerage_cap,
        toDecimal128(transaction_rate, {{ places }}) as transaction_rate,
        toDecimal128(sebi_rate, {{ places }}) as sebi_rate,
        toDecimal128(stt_sell_rate, {{ places }}) as stt_rate,
        toDecimal128(stamp_buy_rate, {{ places }}) as stamp_rate,
        toDecimal128(gst_rate, 2) as gst_rate,
        toDecimal128(auto_square_off_paise, {{ places }}) as square_off_fee
    from charge_rates

),

in_order as (

    select
        *,
        row_number() over (
            partition by session_date, run_id order by log_offset, part_number, leg_of_trade
        ) as leg_number,
        sum(value_paise) over (
            partition by session_date, run_id, order_id
            order by log_offset, part_number, leg_of_trade
            rows between unbounded preceding and current row
        ) as order_after_paise,
        -- the broker bills its own order once, to us where its first trade closed shares of ours
        by_broker and row_number() over (
            partition by session_date, run_id, order_id
            order by log_offset, whose = 'ours' desc, leg_of_trade
        ) = 1 as billed
    from legs

),

lines as (

    select
        in_order.*,
        least(toDecimal128(order_after_paise, 0) * brokerage_rate, brokerage_cap)
            - least(toDecimal128(order_after_paise - value_paise, 0) * brokerage_rate, brokerage_cap)
            as brokerage_exact,
        {{ turnover }} * transaction_rate as transaction_exact,
        {{ turnover }} * sebi_rate as sebi_exact,
        if(billed, square_off_fee, toDecimal128(0, {{ places }})) as auto_square_off_exact,
        if(side = 'SELL', {{ turnover }} * stt_rate, toDecimal128(0, {{ places }})) as stt_exact,
        if(side = 'BUY', {{ turnover }} * stamp_rate, toDecimal128(0, {{ places }})) as stamp_exact,
        (brokerage_exact + transaction_exact + sebi_exact + auto_square_off_exact) * gst_rate as gst_exact
    from in_order
    cross join rates
    where in_order.session_date between rates.valid_from and rates.valid_to

),

final as (

    select
        * except (order_after_paise, billed, brokerage_exact, transaction_exact, sebi_exact, auto_square_off_exact,
            stt_exact, stamp_exact, gst_exact),
        {% for line in ledger_charge_lines() -%}
        toDecimal128({{ line }}_exact, 10) as {{ line }}_exact_paise,
        {% endfor -%}
        {% for line in ledger_charge_lines() %}{{ line }}_exact_paise{{ ' + ' if not loop.last }}{% endfor %}
            as charges_exact_paise
    from lines

)

select * from final
