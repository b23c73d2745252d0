with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'run_started'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractString(detail, 'mode') as mode,
        JSONExtractString(detail, 'config_hash') as config_hash,
        fromUnixTimestamp64Nano(JSONExtractInt(detail, 'parameters', 'open_at'), 'UTC') as session_open_at,
        fromUnixTimestamp64Nano(JSONExtractInt(detail, 'parameters', 'close_at'), 'UTC') as session_close_at,
        JSONExtract(detail, 'parameters', 'strategies', 'Array(String)') as strategies,
        JSONExtractInt(detail, 'parameters', 'profile', 'version') as profile_version,
        JSONLength(detail, 'parameters', 'instruments') as instrument_count,
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
