with

intents as (

    select * from {{ ref('stg_intents') }}
    where {{ days_to_build() }}

),

verdicts as (

    select run_id, session_date, verdict_id, emitted_at
    from {{ ref('stg_verdicts') }}
    where approved and {{ days_to_build() }}

),

journals as (

    select * from {{ ref('int_intent_journals') }}
    where {{ days_to_build() }}

),

fills as (

    select * from {{ ref('int_intent_fills') }}
    where {{ days_to_build() }}

),

-- an exit that did not fill is replaced by the next one: the same position, another intent
chained as (

    select
        *,
        lagInFrame(intent_id, 1, '') over (
            partition by run_id, session_date, token, purpose = 'entry' order by event_at, producer_seq
            rows between 1 preceding and current row
        ) as previous_intent_id
    from intents

),

final as (

    select
        chained.run_id as run_id,
        chained.session_date as session_date,
        chained.intent_id as intent_id,
        chained.signal_id as signal_id,
        chained.verdict_id as verdict_id,
        chained.config_hash as config_hash,
        chained.strategy as strategy,
        chained.token as token,
        chained.tradingsymbol as tradingsymbol,
        chained.purpose as purpose,
        chained.side as side,
        chained.quantity as quantity,
        chained.order_type as order_type,
        chained.validity as validity,
        chained.limit_price_paise as limit_price_paise,
        {{ to_rupees('chained.limit_price_paise') }} as limit_price_rupees,
        chained.protection_bps as protection_bps,
        chained.attempt as attempt,
        if(chained.attempt > 0, chained.previous_intent_id, '') as replaces_intent_id,
        nullIf(chained.decision_price_paise, 0) as decision_price_paise,
        if(journals.child_orders = 0, 'not_journaled', toString(journals.status)) as status,
        journals.venue_status as venue_status,
        journals.child_orders as child_orders,
        journals.order_ids as order_ids,
        journals.outcome as outcome,
        journals.refusal_code as refusal_code,
        journals.message as message,
        journals.was_unknown as was_unknown,
        journals.late_fills as late_fills,
        fills.fill_count as fills,
        fills.filled_quantity as filled_quantity,
        fills.filled_value_paise as filled_value_paise,
        {{ to_rupees('fills.filled_value_paise') }} as filled_value_rupees,
        if(fills.filled_quantity = 0, null, fills.filled_value_paise / fills.filled_quantity) as average_price_paise,
        chained.received_at as tick_received_at,
        chained.signal_emitted_at as signal_emitted_at,
        {{ null_if_epoch('verdicts.emitted_at') }} as verdict_emitted_at,
        chained.emitted_at as intent_emitted_at,
        journals.journaled_at as journaled_at,
        journals.submitted_at as submitted_at,
        journals.replied_at as replied_at,
        journals.first_fill_told_at as first_fill_told_at,
        journals.end_told_at as end_told_at,
        chained.event_at as decided_at,
        chained.event_at_ist as decided_at_ist,
        journals.opened_at as opened_at,
        fills.first_filled_at as first_filled_at,
        fills.last_filled_at as last_filled_at,
        journals.ended_at as ended_at,
        {{ ms_between('chained.received_at', 'chained.signal_emitted_at') }} as tick_to_signal_ms,
        {{ ms_between('chained.signal_emitted_at', 'chained.emitted_at') }} as signal_to_enqueued_ms,
        {{ ms_between('chained.received_at', 'chained.emitted_at') }} as tick_to_enqueued_ms,
        {{ ms_between('chained.emitted_at', 'journals.journaled_at') }} as enqueued_to_journal_ms,
        {{ ms_between('chained.emitted_at', 'journals.submitted_at') }} as enqueued_to_submit_ms,
        {{ ms_between('chained.received_at', 'journals.submitted_at') }} as tick_to_submit_ms,
        journals.request_ms as request_ms,
        {{ ms_between('chained.emitted_at', 'journals.replied_at') }} as enqueued_to_reply_ms,
        {{ ms_between('chained.received_at', 'journals.replied_at') }} as tick_to_reply_ms,
        {{ ms_between('journals.replied_at', 'journals.first_fill_told_at') }} as reply_to_fill_told_ms,
        {{ ms_between('chained.event_at', 'fills.first_filled_at') }} as decision_to_first_fill_ms,
        {{ ms_between('chained.event_at', 'journals.ended_at') }} as decision_to_end_ms
    from chained
    left join verdicts
        on chained.run_id = verdicts.run_id and chained.session_date = verdicts.session_date
        and chained.verdict_id = verdicts.verdict_id
    left join journals
        on chained.run_id = journals.run_id and chained.session_date = journals.session_date
        and chained.intent_id = journals.intent_id
    left join fills
        on chained.run_id = fills.run_id and chained.session_date = fills.session_date
        and chained.intent_id = fills.intent_id

)

select * from final
