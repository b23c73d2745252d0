with

drifts as (

    select
        run_id,
        session_date,
        event_at,
        log_offset,
        model,
        'drift' as finding,
        detector,
        feature,
        toNullable(observed) as observed_value,
        toNullable(drift_limit) as limit_value,
        act,
        '' as model_state,
        '' as reason
    from {{ ref('stg_drift_findings') }}
    where {{ days_to_build() }}

),

judgements as (

    select
        run_id,
        session_date,
        event_at,
        log_offset,
        model,
        'judgement' as finding,
        '' as detector,
        '' as feature,
        null as observed_value,
        null as limit_value,
        '' as act,
        model_state,
        reason
    from {{ ref('stg_model_judgements') }}
    where {{ days_to_build() }}

),

activations as (

    select
        run_id,
        session_date,
        event_at,
        log_offset,
        model,
        'activation' as finding,
        '' as detector,
        '' as feature,
        null as observed_value,
        null as limit_value,
        '' as act,
        '' as model_state,
        concat('instead of ', if(previous_model = '', 'none', previous_model), ': ', reason) as reason
    from {{ ref('stg_model_activations') }}
    where {{ days_to_build() }}

),

together as (

    select * from drifts
    union all
    select * from judgements
    union all
    select * from activations

),

final as (

    select
        run_id,
        session_date,
        log_offset,
        event_at as found_at,
        {{ to_ist('event_at') }} as found_at_ist,
        model,
        finding,
        detector,
        feature,
        observed_value,
        limit_value,
        act,
        model_state,
        reason
    from together

)

select * from final
