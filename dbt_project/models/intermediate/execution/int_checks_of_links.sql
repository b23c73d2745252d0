with

intents as (

    select run_id, session_date, intent_id, verdict_id, signal_id, purpose, config_hash
    from {{ ref('stg_intents') }}

),

verdicts as (

    select run_id, session_date, verdict_id, intent_id
    from {{ ref('stg_verdicts') }}
    where approved

),

signals as (

    select run_id, session_date, signal_id
    from {{ ref('stg_signals') }}

),

runs as (

    select run_id, session_date, config_hash
    from {{ ref('stg_runs') }}

),

children as (

    select run_id, session_date, intent_id, slice, filled_quantity, order_id
    from {{ ref('int_child_orders') }}

),

fills as (

    select run_id, session_date, intent_id, order_id, sum(quantity) as quantity
    from {{ ref('int_fills') }}
    group by run_id, session_date, intent_id, order_id

),

copies as (

    select run_id, session_date, 'fill_stands_once' as check_name, count() as rows_found
    from {{ ref('stg_fills') }}
    group by run_id, session_date, order_id, trade_id
    union all
    select run_id, session_date, 'foreign_fill_stands_once', count()
    from {{ ref('stg_foreign_fills') }}
    group by run_id, session_date, order_id, trade_id

),

linked as (

    select intents.run_id as run_id, intents.session_date as session_date, 'intent_has_verdict' as check_name,
        verdicts.intent_id != intents.intent_id as differs
    from intents
    left join verdicts
        on intents.run_id = verdicts.run_id and intents.session_date = verdicts.session_date
        and intents.verdict_id = verdicts.verdict_id
    union all
    select intents.run_id, intents.session_date, 'entry_has_signal', signals.signal_id = ''
    from intents
    left join signals
        on intents.run_id = signals.run_id and intents.session_date = signals.session_date
        and intents.signal_id = signals.signal_id
    where intents.purpose = 'entry'
    union all
    select intents.run_id, intents.session_date, 'intent_of_this_configuration', runs.config_hash != intents.config_hash
    from intents
    left join runs on intents.run_id = runs.run_id and intents.session_date = runs.session_date
    union all
    select children.run_id, children.session_date, 'order_has_intent', intents.intent_id = ''
    from children
    left join intents
        on children.run_id = intents.run_id and children.session_date = intents.session_date
        and children.intent_id = intents.intent_id
    union all
    select children.run_id, children.session_date, 'fills_sum_to_filled', fills.quantity != children.filled_quantity
    from children
    left join fills
        on children.run_id = fills.run_id and children.session_date = fills.session_date
        and children.intent_id = fills.intent_id and children.order_id = fills.order_id
    union all
    select fills.run_id, fills.session_date, 'fill_has_order', children.order_id = ''
    from fills
    left join children
        on fills.run_id = children.run_id and fills.session_date = children.session_date
        and fills.intent_id = children.intent_id and fills.order_id = children.order_id
    union all
    select run_id, session_date, check_name, rows_found > 1
    from copies

),

final as (

    select
        run_id,
        session_date,
        check_name,
        toInt64(count()) as compared,
        toInt64(countIf(differs)) as differences,
        '' as detail
    from linked
    group by run_id, session_date, check_name

)

select * from final
