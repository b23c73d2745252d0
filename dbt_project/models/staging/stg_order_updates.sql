with

source as (

    select * from {{ source('kitepilot', 'order_updates') }}

),

renamed as (

    select
        run_id,
        session_date,
        intent_id,
        order_id,
        token,
        status,
        venue_status,
        quantity,
        filled_quantity,
        message,
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
