with

source as (

    select * from {{ source('kitepilot', 'account') }}

),

renamed as (

    select
        run_id,
        session_date,
        state,
        realised_paise,
        unrealised_paise,
        charges_paise,
        open_positions,
        gross_exposure_paise,
        working_orders,
        {{ null_if_epoch('oldest_working_at') }} as oldest_working_at,
        orders,
        fills,
        loss_paise,
        worst_case_paise,
        drawdown_paise,
        trades,
        profile_version,
        source.source as producer,
        seq as producer_seq,
        event_at,
        {{ to_ist('event_at') }} as event_at_ist,
        emitted_at,
        log_offset,
        archived_at
    from source

)

select * from renamed
