-- The last price the session log told of what a run still held at its end: what the position would bring.
with

legs as (

    select * from {{ ref('int_ledger_legs') }}
    where whose = 'ours'

),

marks as (

    select * from {{ ref('stg_marks') }}

),

still_open as (

    select session_date, run_id, token
    from legs
    group by session_date, run_id, token
    having argMax(position_after, leg_number) != 0

),

final as (

    select
        session_date,
        run_id,
        token,
        argMax(last_paise, log_offset) as mark_paise
    from marks
    where last_paise > 0
        and (session_date, run_id, token) in (select session_date, run_id, token from still_open)
    group by session_date, run_id, token

)

select * from final
