-- The decision fold's own account, at its last mark, against the trades folded anew: realised profit, charges,
-- positions. A run whose last trade came after its last mark cannot be compared, and is not.
with

legs as (

    select
        session_date,
        run_id,
        sum(realised_paise) as realised_paise,
        sum(charges_paise) as charges_paise,
        max(event_at) as last_trade_at
    from {{ ref('int_ledger_legs') }}
    where whose = 'ours'
    group by session_date, run_id

),

held as (

    select session_date, run_id, count() as open_positions
    from {{ ref('fct_round_trips') }}
    where not is_closed
    group by session_date, run_id

),

account as (

    select
        session_date,
        run_id,
        argMax(realised_paise, log_offset) as realised_paise,
        argMax(charges_paise, log_offset) as charges_paise,
        argMax(open_positions, log_offset) as open_positions,
        max(event_at) as last_mark_at
    from {{ ref('stg_account') }}
    group by session_date, run_id

)

select
    account.run_id,
    account.session_date,
    account.realised_paise as realised_by_account,
    legs.realised_paise as realised_by_trades,
    account.charges_paise as charges_by_account,
    legs.charges_paise as charges_by_trades,
    account.open_positions as open_by_account,
    held.open_positions as open_by_trades
from account
left join legs using (session_date, run_id)
left join held using (session_date, run_id)
where legs.last_trade_at <= account.last_mark_at
    and (
        account.realised_paise != legs.realised_paise
        or account.charges_paise != legs.charges_paise
        or account.open_positions != held.open_positions
    )
