with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'drift_found'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractString(detail, 'model') as model,
        JSONExtractString(detail, 'detector') as detector,
        JSONExtractFloat(detail, 'observed') as observed,
        JSONExtractFloat(detail, 'limit') as drift_limit,
        JSONExtractString(detail, 'act') as act,
        JSONExtractString(detail, 'feature') as feature,
        JSONExtract(detail, 'scores', 'Array(String)') as scores,
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
