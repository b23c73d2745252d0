with

trips as (

    select * from {{ ref('fct_round_trips') }}
    where {{ days_to_build() }}

),

daily as (

    select
        run_id,
        session_date,
        strategy,
        token,
        any(tradingsymbol) as tradingsymbol,
        countIf(is_closed) as round_trips,
        countIf(not is_closed) as open_trips,
        countIf(outcome = 'won') as won,
        countIf(outcome = 'lost') as lost,
        sum(fill_count) as fill_count,
        sum(entry_value_paise + exit_value_paise) as turnover_paise,
        sum(open_quantity) as open_quantity,
        sum(gross_pnl_paise) as gross_pnl_paise,
        sum(charges_paise) as charges_paise,
        sum(net_pnl_paise) as net_pnl_paise,
        sum(unrealised_pnl_paise) as unrealised_pnl_paise
    from trips
    group by run_id, session_date, strategy, token

),

final as (

    select
        *,
        {{ to_rupees('turnover_paise') }} as turnover_rupees,
        {{ to_rupees('gross_pnl_paise') }} as gross_pnl_rupees,
        {{ to_rupees('charges_paise') }} as charges_rupees,
        {{ to_rupees('net_pnl_paise') }} as net_pnl_rupees,
        {{ to_rupees('unrealised_pnl_paise') }} as unrealised_pnl_rupees
    from daily

)

select * from final
