with

source as (

    select * from {{ source('kitepilot', 'dataset_bars') }}

),

renamed as (

    select
        dataset,
        session as session_date,
        tradingsymbol,
        token,
        begins_at,
        {{ to_ist('begins_at') }} as begins_at_ist,
        open_paise,
        high_paise,
        low_paise,
        close_paise,
        volume,
        content,
        loaded_at
    from source

)

select * from renamed
