with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'model_judged'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractString(detail, 'model') as model,
        JSONExtractString(detail, 'state') as model_state,
        JSONExtractString(detail, 'detail') as reason,
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
