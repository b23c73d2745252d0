with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'funds_marked'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractInt(detail, 'available_paise') as available_paise,
        JSONExtractInt(detail, 'used_paise') as used_paise,
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
