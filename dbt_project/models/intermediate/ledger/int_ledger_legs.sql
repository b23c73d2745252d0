{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key='session_date',
    engine='MergeTree()',
    order_by=['session_date', 'run_id', 'leg_number'],
    partition_by='toYYYYMM(session_date)',
    on_schema_change='fail',
    pre_hook='{{ forget_built_days() }}',
    post_hook='{{ note_built_days() }}',
) }}
-- A table, because every mart of the ledger reads it: the fold over the day's trades is done once.
with

legs as (

    select * from {{ ref('int_leg_charges') }}
    where {{ days_to_build() }}

),

intents as (

    select
        session_date,
        run_id,
        intent_id,
        any(strategy) as strategy,
        any(purpose) as purpose
    from {{ ref('stg_intents') }}
    where {{ days_to_build() }}
    group by session_date, run_id, intent_id

),

joined as (

    select
        legs.*,
        if(intents.intent_id = '', 'unplanned', toString(intents.strategy)) as order_strategy,
        multiIf(
            legs.placed_by = 'watchdog', 'watchdog',
            legs.by_broker, 'broker',
            legs.is_foreign, 'owner',
            intents.intent_id = '', 'unplanned',
            toString(intents.purpose)
        ) as order_purpose
    from legs
    left join intents using (session_date, run_id, intent_id)

),

final as (

    select
        *,
        {{ rounded_share('charges_exact_paise', 'partition by session_date, run_id, whose order by leg_number') }}
            as charges_paise,
        toUInt32(sum(position_before = 0) over (
            partition by session_date, run_id, whose, token
            order by leg_number
            rows between unbounded preceding and current row
        )) as trip_number
    from joined

)

select * from final
