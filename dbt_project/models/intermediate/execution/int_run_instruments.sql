with

started as (

    select run_id, session_date, detail
    from {{ ref('stg_events') }}
    where event_kind = 'run_started'

),

instruments as (

    select run_id, session_date, arrayJoin(JSONExtractArrayRaw(detail, 'parameters', 'instruments')) as terms
    from started

),

final as (

    select
        run_id,
        session_date,
        toUInt32(JSONExtractUInt(terms, 'token')) as token,
        JSONExtractString(terms, 'tradingsymbol') as tradingsymbol,
        JSONExtractInt(terms, 'tick_size_paise') as tick_size_paise,
        nullIf(JSONExtractInt(terms, 'freeze_quantity'), 0) as freeze_quantity,
        fromUnixTimestamp64Nano(JSONExtractInt(terms, 'entry_cutoff_at'), 'UTC') as entry_cutoff_at,
        fromUnixTimestamp64Nano(JSONExtractInt(terms, 'force_flat_at'), 'UTC') as force_flat_at,
        fromUnixTimestamp64Nano(JSONExtractInt(terms, 'continuous_close_at'), 'UTC') as continuous_close_at
    from instruments

)

select * from final
