with

legs as (

    select
        *,
        abs(position_after) > abs(position_before) as is_opening
    from {{ ref('int_ledger_legs') }}
    where whose = 'ours' and {{ days_to_build() }}

),

instruments as (

    select * from {{ ref('int_listed_instruments') }}
    where {{ days_to_build() }}

),

open_marks as (

    select * from {{ ref('int_open_marks') }}
    where {{ days_to_build() }}

),

trips as (

    select
        session_date,
        run_id,
        token,
        trip_number,
        argMin(order_strategy, leg_number) as strategy,
        arraySort(groupUniqArray(order_strategy)) as strategies,
        argMin(intent_id, leg_number) as entry_intent_id,
        argMin(side, leg_number) as entry_side,
        argMin(filled_at, leg_number) as opened_at,
        argMax(filled_at, leg_number) as last_fill_at,
        argMax(order_purpose, leg_number) as last_purpose,
        argMax(position_after, leg_number) as open_quantity,
        argMax(cost_after_paise, leg_number) as open_cost_paise,
        max(abs(position_after)) as largest_quantity,
        sumIf(quantity, is_opening) as entry_quantity,
        sumIf(quantity, not is_opening) as exit_quantity,
        sumIf(value_paise, is_opening) as entry_value_paise,
        sumIf(value_paise, not is_opening) as exit_value_paise,
        uniqExact(order_id) as order_count,
        count() as fill_count,
        sum(realised_paise) as gross_pnl_paise,
        sum(charges_paise) as charges_paise,
        sum(charges_exact_paise) as charges_exact_paise
    from legs
    group by session_date, run_id, token, trip_number

),

named as (

    select
        trips.*,
        toString(instruments.tradingsymbol) as tradingsymbol,
        trips.open_quantity = 0 as is_closed
    from trips
    left join instruments using (session_date, run_id, token)

),

marked as (

    select
        named.*,
        if(open_marks.mark_paise > 0, open_marks.mark_paise, intDiv(open_cost_paise, greatest(abs(open_quantity), 1)))
            as mark_paise
    from named
    left join open_marks using (session_date, run_id, token)

),

final as (

    select
        run_id,
        session_date,
        concat(run_id, '/', toString(token), '/', toString(trip_number)) as trip_id,
        token,
        tradingsymbol,
        toString(strategy) as strategy,
        strategies,
        trip_number,
        if(entry_side = 'BUY', 'long', 'short') as direction,
        toBool(is_closed) as is_closed,
        if(is_closed, last_purpose, '') as closed_by,
        multiIf(not is_closed, 'open', gross_pnl_paise < charges_exact_paise, 'lost', 'won') as outcome,
        opened_at,
        {{ to_ist('opened_at') }} as opened_at_ist,
        toUInt8(toHour(opened_at_ist)) as opened_hour_ist,
        if(is_closed, last_fill_at, null) as closed_at,
        {{ to_ist('closed_at') }} as closed_at_ist,
        if(is_closed, greatest({{ ms_between('opened_at', 'last_fill_at') }} / 1e3, 0), null) as holding_s,
        entry_quantity,
        exit_quantity,
        toInt64(largest_quantity) as largest_quantity,
        open_quantity,
        open_cost_paise,
        entry_value_paise,
        exit_value_paise,
        order_count,
        fill_count,
        gross_pnl_paise,
        charges_paise,
        gross_pnl_paise - charges_paise as net_pnl_paise,
        if(is_closed, 0, open_quantity * mark_paise - sign(open_quantity) * open_cost_paise) as unrealised_pnl_paise,
        {{ to_rupees('gross_pnl_paise') }} as gross_pnl_rupees,
        {{ to_rupees('charges_paise') }} as charges_rupees,
        {{ to_rupees('net_pnl_paise') }} as net_pnl_rupees,
        charges_exact_paise,
        assumeNotNull({{ to_bps('net_pnl_paise', 'entry_value_paise') }}) as return_bps,
        entry_intent_id
    from marked

)

select * from final
