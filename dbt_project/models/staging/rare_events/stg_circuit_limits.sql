with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'bands_marked'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtract(detail, 'tokens', 'Array(Int64)') as tokens,
        JSONExtract(detail, 'lower_paise', 'Array(Int64)') as lower_paise,
        JSONExtract(detail, 'upper_paise', 'Array(Int64)') as upper_paise,
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
