with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'reconciled'

),

renamed as (

    select
        run_id,
        session_date,
        JSONExtractString(detail, 'occasion') as occasion,
        JSONExtractInt(detail, 'orders') as order_count,
        JSONExtractInt(detail, 'trades') as trade_count,
        JSONExtractInt(detail, 'positions') as position_count,
        JSONExtractString(detail, 'verdict') as verdict,
        arrayMap(x -> JSONExtractString(x, 'rule'), JSONExtractArrayRaw(detail, 'differences')) as difference_rules,
        arrayMap(x -> JSONExtractString(x, 'subject'), JSONExtractArrayRaw(detail, 'differences')) as difference_subjects,
        arrayMap(x -> JSONExtractString(x, 'ours'), JSONExtractArrayRaw(detail, 'differences')) as difference_ours,
        arrayMap(x -> JSONExtractString(x, 'theirs'), JSONExtractArrayRaw(detail, 'differences')) as difference_theirs,
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
