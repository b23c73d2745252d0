with

intents as (

    select * from {{ ref('stg_intents') }}
    where {{ of_newest_run() }}

),

updates as (

    select
        intent_id,
        argMax(status, log_offset) as status,
        argMax(filled_quantity, log_offset) as filled_quantity,
        argMax(message, log_offset) as message,
        max(event_at) as updated_at
    from {{ ref('stg_order_updates') }}
    where {{ of_newest_run() }}
    group by intent_id

),

final as (

    select
        intents.run_id as run_id,
        intents.session_date as session_date,
        intents.intent_id as intent_id,
        intents.strategy as strategy,
        intents.token as token,
        intents.tradingsymbol as tradingsymbol,
        intents.purpose as purpose,
        intents.side as side,
        intents.quantity as quantity,
        updates.filled_quantity as filled_quantity,
        if(updates.intent_id = '', 'submitting', toString(updates.status)) as status,
        status in ('submitting', 'accepted', 'working', 'unknown') as is_working,
        intents.limit_price_paise as limit_price_paise,
        {{ to_rupees('intents.limit_price_paise') }} as limit_price_rupees,
        intents.decision_price_paise as decision_price_paise,
        {{ to_rupees('intents.decision_price_paise') }} as decision_price_rupees,
        updates.message as message,
        intents.event_at as decided_at,
        intents.event_at_ist as decided_at_ist,
        {{ null_if_epoch('updates.updated_at') }} as updated_at
    from intents
    left join updates on updates.intent_id = intents.intent_id

)

select * from final
