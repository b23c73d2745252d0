with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'commanded'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractString(detail, 'command_id') as command_id,
        JSONExtractString(detail, 'command') as command,
        JSONExtractString(detail, 'argument') as argument,
        JSONExtractString(detail, 'by') as commanded_by,
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
