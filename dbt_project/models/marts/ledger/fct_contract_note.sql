-- As the broker's note shows a day (kitepilot/orders/charges.py, `contract_note`): STT per share, on the squared-off
-- quantity at the average price of all its trades, to the rupee; every other line of the day to the paisa. An order
-- has its share of each line, so that the orders add up to the day.
with

legs as (

    select * from {{ ref('int_ledger_legs') }}
    where {{ days_to_build() }}

),

instruments as (

    select * from {{ ref('int_listed_instruments') }}
    where {{ days_to_build() }}

),

charge_rates as (

    select * from {{ ref('charge_rates') }}

),

rates as (

    select
        valid_from,
        valid_to,
        toInt256(stt_sell_rate * 100000000) as stt_units
    from charge_rates

),

orders as (

    select
        session_date,
        run_id,
        order_id,
        any(legs.token) as token,
        any(intent_id) as intent_id,
        any(order_strategy) as order_strategy,
        any(side) as side,
        groupUniqArray(whose) as owners,
        min(leg_number) as first_leg,
        min(filled_at) as first_fill_at,
        max(filled_at) as last_fill_at,
        uniqExact(trade_id) as trade_count,
        sum(quantity) as quantity,
        sum(value_paise) as value_paise,
        {% for line in ledger_charge_lines() -%}
        sum({{ line }}_exact_paise) as {{ line }}_exact_paise{{ ',' if not loop.last }}
        {% endfor %}
    from legs
    group by session_date, run_id, order_id

),

shares_traded as (

    select
        *,
        sum(quantity) over share as traded,
        sumIf(quantity, side = 'SELL') over share as sold,
        sum(value_paise) over share as traded_paise,
        sum(value_paise) over (
            partition by session_date, run_id, token order by first_leg
            rows between unbounded preceding and current row
        ) as traded_so_far_paise
    from orders
    window share as (partition by session_date, run_id, token)

),

-- rupees of a share's STT: half up, in whole numbers
taxed as (

    select
        shares_traded.*,
        toInt64(intDiv(
            2 * toInt256(least(sold, traded - sold)) * traded_paise * stt_units + toInt256(traded) * 10000000000,
            toInt256(traded) * 20000000000
        )) * 100 as share_stt_paise
    from shares_traded
    cross join rates
    where shares_traded.session_date between rates.valid_from and rates.valid_to

),

charged as (

    select
        * except (stt_exact_paise),
        {% for line in ledger_charge_lines() if line != 'stt' -%}
        {{ rounded_share(line ~ '_exact_paise', 'partition by session_date, run_id order by first_leg') }}
            as {{ line }}_paise,
        {% endfor -%}
        toInt64(
            intDiv(toInt128(share_stt_paise) * traded_so_far_paise, traded_paise)
            - intDiv(toInt128(share_stt_paise) * (traded_so_far_paise - value_paise), traded_paise)
        ) as stt_paise
    from taxed

),

final as (

    select
        charged.run_id as run_id,
        charged.session_date as session_date,
        order_id,
        intent_id,
        toString(order_strategy) as strategy,
        if(length(owners) > 1, 'both', owners[1]) as whose,
        charged.token as token,
        toString(instruments.tradingsymbol) as tradingsymbol,
        side,
        quantity,
        toUInt64(trade_count) as trade_count,
        value_paise,
        toDecimal64(round(toDecimal128(value_paise, 6) / (quantity * 100), 4), 4) as average_price_rupees,
        first_fill_at,
        {{ to_ist('first_fill_at') }} as first_fill_at_ist,
        last_fill_at,
        {% for line in ledger_charge_lines() -%}
        {{ line }}_paise,
        {% endfor -%}
        {% for line in ledger_charge_lines() %}{{ line }}_paise{{ ' + ' if not loop.last }}{% endfor %}
            as charges_paise,
        if(side = 'SELL', value_paise, -value_paise) - charges_paise as net_amount_paise,
        {{ to_rupees('value_paise') }} as value_rupees,
        {{ to_rupees('charges_paise') }} as charges_rupees,
        {{ to_rupees('net_amount_paise') }} as net_amount_rupees
    from charged
    left join instruments using (session_date, run_id, token)

)

select * from final
