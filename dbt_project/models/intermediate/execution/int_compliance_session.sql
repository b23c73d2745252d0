with

account as (

    select run_id, session_date, event_at, open_positions
    from {{ ref('stg_account') }}

),

cutoffs as (

    select run_id, session_date, max(force_flat_at) as flat_from
    from {{ ref('int_run_instruments') }}
    group by run_id, session_date

),

reconciliations as (

    select * from {{ ref('stg_reconciliations') }}

),

flat as (

    select
        account.run_id as run_id,
        account.session_date as session_date,
        'flat_by_cutoff' as rule,
        toFloat64(countIf(account.event_at >= cutoffs.flat_from)) as cases,
        toFloat64(countIf(account.event_at >= cutoffs.flat_from and account.open_positions > 0)) as observed
    from account
    inner join cutoffs on account.run_id = cutoffs.run_id and account.session_date = cutoffs.session_date
    group by run_id, session_date

),

tags as (

    select
        run_id,
        session_date,
        'unknown_tags' as rule,
        toFloat64(count()) as cases,
        toFloat64(sum(arrayCount(name -> name = 'order_unknown_here', difference_rules))) as observed
    from reconciliations
    group by run_id, session_date

),

final as (

    select run_id, session_date, rule, cases, observed from flat
    union all
    select run_id, session_date, rule, cases, observed from tags

)

select * from final
