-- Whose shares a trade moved. The rule is the core's (kitepilot/risk/foreign.py): of a foreign trade, first what
-- closes the owner's own shares is the owner's (ours first where the watchdog traded), then what stands against our
-- position closes it, and the rest is the owner's.
-- `told` is one trade: (log offset, +1 or -1, shares, not ours, by the watchdog, and what is only carried along).
{%- set owners_closed = 'if(told.5, 0, least(greatest(-acc.2 * told.2, 0), told.3))' %}
{%- set ours = 'if(told.4, least(greatest(-acc.1 * told.2, 0), told.3 - ' ~ owners_closed ~ '), told.3)' %}
with

trades as (

    select * from {{ ref('int_counted_trades') }}

),

by_instrument as (

    select
        session_date,
        run_id,
        token,
        arraySort(told -> told.1, groupArray((
            log_offset,
            toInt64(if(side = 'BUY', 1, -1)),
            toInt64(quantity),
            is_foreign,
            placed_by = 'watchdog',
            (intent_id, order_id, trade_id, price_paise, filled_at, event_at, placed_by, by_broker)
        ))) as trades_told
    from trades
    group by session_date, run_id, token

),

folded as (

    select
        *,
        -- (our position, the owner's position, our share of each trade so far)
        arrayFold(
            (acc, told) -> (
                toInt64(acc.1 + told.2 * {{ ours }}),
                toInt64(acc.2 + told.2 * (told.3 - {{ ours }})),
                arrayPushBack(acc.3, toInt64({{ ours }}))
            ),
            trades_told,
            (toInt64(0), toInt64(0), emptyArrayInt64())
        ).3 as our_quantities
    from by_instrument

),

shares as (

    select session_date, run_id, token, told, our_quantity
    from folded
    array join trades_told as told, our_quantities as our_quantity

),

parts as (

    select
        *,
        arrayJoin([
            ('owner', toUInt8(1), toInt64(told.3 - our_quantity)),
            ('ours', toUInt8(2), our_quantity)
        ]) as part
    from shares

),

final as (

    select
        session_date,
        run_id,
        token,
        told.1 as log_offset,
        part.1 as whose,
        part.2 as part_number,
        part.3 as quantity,
        told.2 as side_sign,
        told.4 as is_foreign,
        told.6.1 as intent_id,
        told.6.2 as order_id,
        told.6.3 as trade_id,
        told.6.4 as price_paise,
        told.6.5 as filled_at,
        told.6.6 as event_at,
        told.6.7 as placed_by,
        told.6.8 as by_broker
    from parts
    where part.3 > 0

)

select * from final
