with

intents as (

    select * from {{ ref('stg_intents') }}

),

verdicts as (

    select run_id, session_date, verdict_id, token, side, quantity, approved, state
    from {{ ref('stg_verdicts') }}

),

instruments as (

    select * from {{ ref('int_run_instruments') }}

),

runs as (

    select run_id, session_date, mode
    from {{ ref('stg_runs') }}

),

acknowledged as (

    select run_id, session_date, min(event_at) as acknowledged_at
    from {{ ref('stg_commands') }}
    where command = 'acknowledge'
    group by run_id, session_date

),

judged as (

    select
        intents.run_id as run_id,
        intents.session_date as session_date,
        intents.purpose = 'entry' as entering,
        intents.order_type = 'MARKET' as at_market,
        intents.protection_bps between 1 and 10000 as protected,
        instruments.tick_size_paise > 0 as tick_known,
        intents.limit_price_paise % greatest(instruments.tick_size_paise, 1) != 0 as off_tick,
        intents.event_at >= instruments.entry_cutoff_at as past_cutoff,
        verdicts.approved and verdicts.token = intents.token and verdicts.side = intents.side
            and verdicts.quantity = intents.quantity as permitted,
        verdicts.approved and verdicts.state != 'active' as not_active,
        runs.mode = 'live' as live,
        acknowledged.run_id = '' or intents.event_at < acknowledged.acknowledged_at as before_word
    from intents
    left join verdicts
        on intents.run_id = verdicts.run_id and intents.session_date = verdicts.session_date
        and intents.verdict_id = verdicts.verdict_id
    left join instruments
        on intents.run_id = instruments.run_id and intents.session_date = instruments.session_date
        and intents.token = instruments.token
    left join runs on intents.run_id = runs.run_id and intents.session_date = runs.session_date
    left join acknowledged
        on intents.run_id = acknowledged.run_id and intents.session_date = acknowledged.session_date

),

-- how many orders a rule looked at, and how many of them broke it
judgements as (

    select
        run_id,
        session_date,
        arrayJoin([
            ('market_protection', countIf(at_market), countIf(at_market and not protected)),
            ('limit_on_tick', countIf(not at_market and tick_known), countIf(not at_market and tick_known and off_tick)),
            ('entry_cutoff', countIf(entering and tick_known), countIf(entering and tick_known and past_cutoff)),
            ('entries_while_not_active', countIf(entering), countIf(entering and not_active)),
            ('acknowledged_before_entry', countIf(entering and live), countIf(entering and live and before_word)),
            ('verdict_before_order', count(), countIf(not permitted))
        ]) as judgement
    from judged
    group by run_id, session_date

),

final as (

    select
        run_id,
        session_date,
        judgement.1 as rule,
        toFloat64(judgement.2) as cases,
        toFloat64(judgement.3) as observed
    from judgements

)

select * from final
