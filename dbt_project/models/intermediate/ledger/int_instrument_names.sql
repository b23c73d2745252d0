-- What a token is called now, and what it was called.
with

instruments as (

    select * from {{ ref('int_listed_instruments') }}

),

renames as (

    select * from {{ ref('int_renames') }}

),

latest as (

    select
        token,
        argMax(tradingsymbol, (session_date, run_id)) as latest_tradingsymbol
    from instruments
    group by token

),

formers as (

    select
        token,
        arraySort(groupUniqArray(former_tradingsymbol)) as former_tradingsymbols
    from renames
    group by token

),

final as (

    select
        latest.token as token,
        latest_tradingsymbol,
        former_tradingsymbols,
        if(
            empty(former_tradingsymbols), latest_tradingsymbol,
            concat(latest_tradingsymbol, ' (was ', arrayStringConcat(former_tradingsymbols, ', '), ')')
        ) as shown_name
    from latest
    left join formers using (token)

)

select * from final
