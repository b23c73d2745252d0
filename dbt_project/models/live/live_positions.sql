with

trades as (

    select * from {{ ref('stg_positions') }}
    where {{ of_newest_run() }}

),

instruments as (

    select token, tradingsymbol, sector from {{ ref('stg_run_instruments') }}
    where {{ of_newest_run() }}

),

marks as (

    select token, argMax(last_paise, log_offset) as last_paise, max(quoted_at) as quoted_at
    from {{ ref('stg_marks') }}
    where {{ of_newest_run() }} and token in (select token from trades)
    group by token

),

after_the_last_trade as (

    select
        run_id,
        session_date,
        token,
        argMax(net_quantity, log_offset) as net_quantity,
        argMax(bought_paise, log_offset) as bought_paise,
        argMax(sold_paise, log_offset) as sold_paise,
        count() as trades,
        max(filled_at) as last_filled_at
    from trades
    group by run_id, session_date, token

),

valued as (

    select
        positions.run_id as run_id,
        positions.session_date as session_date,
        positions.token as token,
        instruments.tradingsymbol as tradingsymbol,
        instruments.sector as sector,
        positions.net_quantity as net_quantity,
        positions.net_quantity != 0 as is_open,
        marks.last_paise as last_paise,
        abs(positions.net_quantity) * marks.last_paise as exposure_paise,
        positions.sold_paise - positions.bought_paise + positions.net_quantity * marks.last_paise as gross_paise,
        positions.trades as trades,
        positions.last_filled_at as last_filled_at,
        marks.quoted_at as quoted_at
    from after_the_last_trade as positions
    left join instruments on instruments.token = positions.token
    left join marks on marks.token = positions.token

),

final as (

    select
        *,
        {{ to_ist('last_filled_at') }} as last_filled_at_ist,
        {{ to_rupees('last_paise') }} as last_rupees,
        {{ to_rupees('exposure_paise') }} as exposure_rupees,
        {{ to_rupees('gross_paise') }} as gross_rupees
    from valued

)

select * from final
