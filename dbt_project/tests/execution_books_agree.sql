-- No check of `fct_reconciliation` may be broken: fills sum to filled quantity, every order has intent and verdict,
-- the archive holds every message, the broker's books are ours.
select run_id, session_date, check_name, differences, detail
from {{ ref('fct_reconciliation') }}
where status = 'broken'
