-- A token whose symbol is not what it was on the day it was traded before. Results stay with the token.
with

instruments as (

    select * from {{ ref('int_listed_instruments') }}

),

names as (

    select
        session_date,
        token,
        argMax(tradingsymbol, run_id) as tradingsymbol
    from instruments
    group by session_date, token

),

compared as (

    select
        *,
        lagInFrame(tradingsymbol, 1, tradingsymbol) over (
            partition by token order by session_date
            rows between unbounded preceding and current row
        ) as former_tradingsymbol
    from names

),

final as (

    select * from compared
    where tradingsymbol != former_tradingsymbol

)

select * from final
