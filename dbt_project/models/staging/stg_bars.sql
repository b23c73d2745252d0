with

source as (

    select * from {{ source('kitepilot', 'bars') }}

),

renamed as (

    select
        run_id,
        session_date,
        interval_s,
        close_at,
        {{ to_ist('close_at') }} as close_at_ist,
        token,
        open_paise,
        high_paise,
        low_paise,
        close_paise,
        volume,
        tick_count,
        backfilled,
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
