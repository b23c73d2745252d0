-- What an instrument was called on a day, and when the desk had to leave it. The token is its identity.
with

run_starts as (

    select * from {{ ref('stg_events') }}
    where event_kind = 'run_started'

),

foreign_fills as (

    select * from {{ ref('stg_foreign_fills') }}

),

listed as (

    select
        session_date,
        run_id,
        arrayJoin(JSONExtractArrayRaw(detail, 'parameters', 'instruments')) as terms
    from run_starts

),

known as (

    select
        session_date,
        run_id,
        toUInt32(JSONExtractUInt(terms, 'token')) as token,
        JSONExtractString(terms, 'tradingsymbol') as tradingsymbol,
        JSONExtractInt(terms, 'entry_cutoff_at') as entry_cutoff_ns,
        JSONExtractInt(terms, 'force_flat_at') as force_flat_ns
    from listed

    union all

    select distinct session_date, run_id, token, tradingsymbol, 0 as entry_cutoff_ns, 0 as force_flat_ns
    from foreign_fills

),

final as (

    select
        session_date,
        run_id,
        token,
        argMax(tradingsymbol, entry_cutoff_ns) as tradingsymbol,
        if(max(entry_cutoff_ns) = 0, null, fromUnixTimestamp64Nano(max(entry_cutoff_ns), 'UTC')) as entry_cutoff_at,
        if(max(force_flat_ns) = 0, null, fromUnixTimestamp64Nano(max(force_flat_ns), 'UTC')) as force_flat_at
    from known
    group by session_date, run_id, token

)

select * from final
