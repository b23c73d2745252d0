-- Round trips, the days made of them and the lines of charges come to the same, per run and to the paisa.
with

trips as (

    select
        session_date,
        run_id,
        sum(net_pnl_paise) as net_paise,
        sum(charges_paise) as charges_paise
    from {{ ref('fct_round_trips') }}
    group by session_date, run_id

),

daily as (

    select session_date, run_id, sum(net_pnl_paise) as net_paise
    from {{ ref('fct_pnl_daily') }}
    group by session_date, run_id

),

lines as (

    select
        session_date,
        run_id,
        sum(charges_paise) as charges_paise,
        sum(note_paise) as note_paise
    from {{ ref('fct_charges_daily') }}
    group by session_date, run_id

),

note as (

    select session_date, run_id, sum(charges_paise) as note_paise
    from {{ ref('fct_contract_note') }}
    group by session_date, run_id

)

select
    lines.run_id,
    lines.session_date,
    trips.net_paise as net_of_trips,
    daily.net_paise as net_of_day,
    trips.charges_paise as charges_of_trips,
    lines.charges_paise as charges_of_lines,
    note.note_paise as note_of_orders,
    lines.note_paise as note_of_lines
from lines
left join trips using (session_date, run_id)
left join daily using (session_date, run_id)
left join note using (session_date, run_id)
where net_of_trips != net_of_day or charges_of_trips != charges_of_lines or note_of_orders != note_of_lines
