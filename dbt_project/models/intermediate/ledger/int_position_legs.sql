-- A position keeps its quantity and what the open part cost; closing a part releases the same share of that cost,
-- rounded down to the paisa (kitepilot/orders/positions.py). A trade that turns the position is two legs: what it
-- closes, and what it opens on the other side.
-- `moved` is one part of a trade: (log offset, part, +1 or -1, shares, paise, and what is only carried along).
{%- set held = 'acc.1 * moved.3' %}
{%- set closed = 'greatest(least(moved.4, -(' ~ held ~ ')), 0)' %}
{%- set released = 'if(' ~ closed ~ ' > 0, toInt64(intDiv(toInt128(acc.2) * ' ~ closed ~ ', -(' ~ held ~ '))), 0)' %}
{%- set quantity_after = 'toInt64(acc.1 + moved.3 * moved.4)' %}
{%- set cost_after = 'toInt64(acc.2 - ' ~ released ~ ' + (moved.4 - ' ~ closed ~ ') * moved.5)' %}
with

parts as (

    select * from {{ ref('int_trade_parts') }}

),

by_position as (

    select
        session_date,
        run_id,
        token,
        whose,
        arraySort(moved -> (moved.1, moved.2), groupArray((
            log_offset,
            part_number,
            side_sign,
            quantity,
            price_paise,
            (intent_id, order_id, trade_id, filled_at, event_at, is_foreign, placed_by, by_broker)
        ))) as trades_moved
    from parts
    group by session_date, run_id, token, whose

),

folded as (

    select
        *,
        -- (position, cost of its open part, (position before, after, cost after, realised) of each trade so far)
        arrayFold(
            (acc, moved) -> (
                {{ quantity_after }},
                {{ cost_after }},
                arrayPushBack(acc.3, (
                    acc.1,
                    {{ quantity_after }},
                    {{ cost_after }},
                    toInt64(moved.3 * ({{ released }} - {{ closed }} * moved.5))
                ))
            ),
            trades_moved,
            (toInt64(0), toInt64(0), arrayPopBack([(toInt64(0), toInt64(0), toInt64(0), toInt64(0))]))
        ).3 as moves
    from by_position

),

steps as (

    select session_date, run_id, token, whose, moved, move
    from folded
    array join trades_moved as moved, moves as move

),

legs as (

    select
        *,
        arrayJoin(if(
            move.1 * move.2 < 0,
            [
                -- (number, shares, position before, after, cost after, realised)
                (toUInt8(1), toInt64(abs(move.1)), move.1, toInt64(0), toInt64(0), move.4),
                (toUInt8(2), toInt64(abs(move.2)), toInt64(0), move.2, move.3, toInt64(0))
            ],
            [(toUInt8(1), moved.4, move.1, move.2, move.3, move.4)]
        )) as leg
    from steps

),

final as (

    select
        session_date,
        run_id,
        token,
        whose,
        moved.1 as log_offset,
        moved.2 as part_number,
        leg.1 as leg_of_trade,
        moved.6.1 as intent_id,
        moved.6.2 as order_id,
        moved.6.3 as trade_id,
        if(moved.3 > 0, 'BUY', 'SELL') as side,
        leg.2 as quantity,
        moved.5 as price_paise,
        leg.2 * moved.5 as value_paise,
        moved.6.4 as filled_at,
        moved.6.5 as event_at,
        moved.6.6 as is_foreign,
        moved.6.7 as placed_by,
        moved.6.8 as by_broker,
        leg.3 as position_before,
        leg.4 as position_after,
        leg.5 as cost_after_paise,
        leg.6 as realised_paise
    from legs

)

select * from final
