with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind = 'run_started'

),

instruments as (

    select
        run_id,
        session_date,
        arrayJoin(JSONExtractArrayRaw(detail, 'parameters', 'instruments')) as instrument
    from source

),

renamed as (

    select
        run_id,
        session_date,
        toUInt32(JSONExtractUInt(instrument, 'token')) as token,
        JSONExtractString(instrument, 'tradingsymbol') as tradingsymbol,
        JSONExtractString(instrument, 'sector') as sector,
        JSONExtractInt(instrument, 'tick_size_paise') as tick_size_paise,
        JSONExtractInt(instrument, 'lot_size') as lot_size,
        JSONExtractBool(instrument, 'closing_auction') as closing_auction,
        fromUnixTimestamp64Nano(JSONExtractInt(instrument, 'entry_cutoff_at'), 'UTC') as entry_cutoff_at,
        fromUnixTimestamp64Nano(JSONExtractInt(instrument, 'square_off_at'), 'UTC') as square_off_at,
        fromUnixTimestamp64Nano(JSONExtractInt(instrument, 'force_flat_at'), 'UTC') as force_flat_at,
        fromUnixTimestamp64Nano(JSONExtractInt(instrument, 'continuous_close_at'), 'UTC') as continuous_close_at,
        nullIf(JSONExtractInt(instrument, 'average_volume'), 0) as average_volume,
        nullIf(JSONExtractInt(instrument, 'freeze_quantity'), 0) as freeze_quantity,
        JSONExtractInt(instrument, 'margin_bps') as margin_bps
    from instruments

)

select * from renamed
