with

source as (

    select * from {{ source('kitepilot', 'marks') }}

),

renamed as (

    select
        run_id,
        session_date,
        token,
        last_paise,
        nullIf(bid_paise, 0) as bid_paise,
        nullIf(ask_paise, 0) as ask_paise,
        quoted_at,
        received_at,
        source.source as producer,
        seq as producer_seq,
        event_at,
        {{ to_ist('event_at') }} as event_at_ist,
        emitted_at,
        log_offset,
        row,
        archived_at
    from source

)

select * from renamed
