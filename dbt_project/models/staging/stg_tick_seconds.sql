with

source as (

    select * from {{ source('kitepilot', 'tick_minute_states') }}

),

-- states of one key are summed whenever ClickHouse finds the time: until then by whoever reads them
merged as (

    select
        run_id,
        session_date,
        token,
        begins_at as minute_at,
        sum(source.ticks) as tick_count,
        groupBitOr(source.seconds_seen) as seconds_seen
    from source
    group by run_id, session_date, token, minute_at

)

select * from merged
