with

outcomes as (

    select * from {{ ref('int_signal_outcomes') }}
    where {{ days_to_build() }} and is_decay_horizon

),

final as (

    select
        run_id,
        session_date,
        strategy,
        toUInt16(intDiv(horizon_s, 60)) as horizon_minutes,
        {{ signal_measures() }}
    from outcomes
    group by run_id, session_date, strategy, horizon_minutes

)

select * from final
