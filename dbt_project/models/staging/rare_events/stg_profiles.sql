with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'profile_activated'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractString(detail, 'command_id') as command_id,
        JSONExtractInt(detail, 'profile', 'version') as profile_version,
        JSONExtract(detail, 'profile', 'limits', 'Map(String, Float64)') as limits,
        JSONExtractString(detail, 'by') as activated_by,
        JSONExtractString(detail, 'reason') as reason,
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
