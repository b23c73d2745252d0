-- A broken rule is a finding about the day, not a flaw of the book: it warns.
{{ config(tags=['finding']) }}
select run_id, session_date, rule, observed, allowed
from {{ ref('fct_compliance') }}
where status = 'broken'
