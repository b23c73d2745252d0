with

fills as (

    select * from {{ ref('int_fills') }}
    where {{ days_to_build() }}

),

intents as (

    select * from {{ ref('stg_intents') }}
    where {{ days_to_build() }}

),

arrivals as (

    select * from {{ ref('int_arrivals') }}
    where {{ days_to_build() }}

),

priced as (

    select
        fills.run_id as run_id,
        fills.session_date as session_date,
        fills.intent_id as intent_id,
        fills.order_id as order_id,
        fills.trade_id as trade_id,
        fills.token as token,
        fills.side as side,
        fills.quantity as quantity,
        fills.price_paise as price_paise,
        fills.filled_at as filled_at,
        fills.filled_at_ist as filled_at_ist,
        fills.emitted_at as emitted_at,
        intents.tradingsymbol as tradingsymbol,
        intents.strategy as strategy,
        intents.purpose as purpose,
        intents.limit_price_paise as limit_price_paise,
        nullIf(intents.decision_price_paise, 0) as decision_price_paise,
        arrivals.arrived_at as arrived_at,
        arrivals.arrival_bid_paise as arrival_bid_paise,
        arrivals.arrival_ask_paise as arrival_ask_paise,
        (arrivals.arrival_bid_paise + arrivals.arrival_ask_paise) / 2 as arrival_mid_paise,
        if(fills.side = 'BUY', 1, -1) as sign,
        fills.quantity * fills.price_paise as value_paise
    from fills
    left join intents
        on fills.run_id = intents.run_id and fills.session_date = intents.session_date
        and fills.intent_id = intents.intent_id
    left join arrivals
        on fills.run_id = arrivals.run_id and fills.session_date = arrivals.session_date
        and fills.intent_id = arrivals.intent_id

),

final as (

    select
        run_id,
        session_date,
        intent_id,
        order_id,
        trade_id,
        strategy,
        token,
        tradingsymbol,
        purpose,
        side,
        quantity,
        price_paise,
        {{ to_rupees('price_paise') }} as price_rupees,
        value_paise,
        {{ to_rupees('value_paise') }} as value_rupees,
        limit_price_paise,
        decision_price_paise,
        arrival_bid_paise,
        arrival_ask_paise,
        sign * quantity * (price_paise - decision_price_paise) as slippage_decision_paise,
        {{ to_rupees('slippage_decision_paise') }} as slippage_decision_rupees,
        sign * (price_paise - decision_price_paise) / decision_price_paise * 1e4 as slippage_decision_bps,
        toInt64(round(sign * quantity * (price_paise - arrival_mid_paise))) as slippage_arrival_paise,
        {{ to_rupees('slippage_arrival_paise') }} as slippage_arrival_rupees,
        sign * (price_paise - arrival_mid_paise) / arrival_mid_paise * 1e4 as slippage_arrival_bps,
        (arrival_ask_paise - arrival_bid_paise) / arrival_mid_paise * 1e4 as arrival_spread_bps,
        filled_at,
        filled_at_ist,
        arrived_at,
        emitted_at as told_at
    from priced

)

select * from final
