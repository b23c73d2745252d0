with

outcomes as (

    select * from {{ ref('int_signal_outcomes') }}
    where {{ days_to_build() }} and is_own_horizon

),

final as (

    select
        run_id,
        session_date,
        strategy,
        horizon_s,
        {{ signal_measures() }}
    from outcomes
    group by run_id, session_date, strategy, horizon_s

)

select * from final
