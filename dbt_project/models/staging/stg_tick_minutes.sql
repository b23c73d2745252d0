with

source as (

    select * from {{ source('kitepilot', 'tick_minutes') }}

),

renamed as (

    select
        run_id,
        session_date,
        token,
        {{ null_if_epoch('begins_at') }} as begins_at,
        {{ null_if_epoch(to_ist('begins_at')) }} as begins_at_ist,
        ticks as tick_count,
        open_paise,
        high_paise,
        low_paise,
        close_paise,
        day_volume,
        mean_spread_paise,
        mean_delay_ms,
        max_delay_ms,
        seconds_with_ticks
    from source

)

select * from renamed
