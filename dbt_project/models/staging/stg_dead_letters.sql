with

source as (

    select * from {{ source('kitepilot', 'dead_letters') }}

),

renamed as (

    select
        run_id,
        session_date,
        reason,
        origin_topic,
        origin_partition,
        origin_offset,
        count as letter_count,
        detail,
        payload,
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
