with

account as (

    select * from {{ ref('stg_account') }}
    where {{ of_newest_run() }}

),

minutes as (

    select
        run_id,
        session_date,
        toStartOfMinute(event_at) as minute_at,
        argMax(tuple(
            state, realised_paise, unrealised_paise, charges_paise, gross_exposure_paise, drawdown_paise,
            open_positions, working_orders, orders, fills, event_at
        ), log_offset) as newest
    from account
    group by run_id, session_date, minute_at

),

named as (

    select
        run_id,
        session_date,
        minute_at,
        {{ to_ist('minute_at') }} as minute_at_ist,
        minute_at = max(minute_at) over () as is_newest,
        newest.11 as event_at,
        newest.1 as trading_state,
        newest.2 as realised_paise,
        newest.3 as unrealised_paise,
        newest.4 as charges_paise,
        newest.2 + newest.3 - newest.4 as net_paise,
        newest.5 as gross_exposure_paise,
        newest.6 as drawdown_paise,
        newest.7 as open_positions,
        newest.8 as working_orders,
        newest.9 as orders,
        newest.10 as fills
    from minutes

),

final as (

    select
        *,
        {{ to_rupees('realised_paise') }} as realised_rupees,
        {{ to_rupees('unrealised_paise') }} as unrealised_rupees,
        {{ to_rupees('charges_paise') }} as charges_rupees,
        {{ to_rupees('net_paise') }} as net_rupees,
        {{ to_rupees('gross_exposure_paise') }} as gross_exposure_rupees,
        {{ to_rupees('drawdown_paise') }} as drawdown_rupees
    from named

)

select * from final
