with

source as (

    select * from {{ source('kitepilot', 'candles') }}

),

renamed as (

    select
        interval,
        tradingsymbol,
        token,
        begins_at,
        {{ to_ist('begins_at') }} as begins_at_ist,
        open_paise,
        high_paise,
        low_paise,
        close_paise,
        volume,
        in_session,
        part,
        content,
        loaded_at
    from source

)

select * from renamed
