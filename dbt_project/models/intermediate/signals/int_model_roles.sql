{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key='session_date',
    engine='MergeTree()',
    order_by=['session_date', 'run_id', 'model'],
    partition_by='toYYYYMM(session_date)',
    on_schema_change='fail',
    pre_hook="{{ forget_built_days() }}",
    post_hook="{{ note_built_days() }}"
) }}

with

scores as (

    select
        run_id,
        session_date,
        model,
        uniqExact(close_at) as closes,
        uniqExactIf(close_at, weight > 0) as followed_closes,
        {{ settled('avg(weight)') }} as mean_weight
    from {{ ref('stg_scores') }}
    where {{ days_to_build() }}
    group by run_id, session_date, model

),

shown as (

    select
        run_id,
        groupUniqArrayArray(mapKeys(scores)) as models_shown
    from {{ ref('stg_signals') }}
    where {{ days_to_build() }}
    group by run_id

),

final as (

    select
        scores.run_id as run_id,
        scores.session_date as session_date,
        scores.model as model,
        multiIf(
            scores.model = 'blend', 'blend',
            scores.followed_closes > 0 and match(scores.model, '-[0-9a-f]{8}$'), 'live',
            scores.followed_closes > 0, 'online',
            empty(shown.models_shown), 'beside',
            has(shown.models_shown, scores.model), 'canary',
            'shadow'
        ) as role,
        scores.closes as closes,
        scores.followed_closes as followed_closes,
        scores.mean_weight as mean_weight
    from scores
    left join shown on scores.run_id = shown.run_id

)

select * from final
