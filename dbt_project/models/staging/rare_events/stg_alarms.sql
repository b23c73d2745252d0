with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'alarmed'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractString(detail, 'kind') as alarm_kind,
        JSONExtractString(detail, 'subject') as alarm_subject,
        JSONExtractString(detail, 'detail') as reason,
        JSONExtractBool(detail, 'halts') as halts,
        JSONExtractString(detail, 'state') as breaker_state,
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
