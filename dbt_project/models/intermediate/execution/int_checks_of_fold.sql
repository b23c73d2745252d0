with

account as (

    select
        run_id,
        session_date,
        toInt64(argMax(orders, event_at)) as orders,
        toInt64(argMax(fills, event_at)) as fills,
        max(event_at) as marked_until
    from {{ ref('stg_account') }}
    group by run_id, session_date

),

intents as (

    select intents.run_id as run_id, intents.session_date as session_date, toInt64(countIf(intents.event_at <= account.marked_until)) as orders
    from {{ ref('stg_intents') }} as intents
    inner join account on intents.run_id = account.run_id and intents.session_date = account.session_date
    group by run_id, session_date

),

fills as (

    select fills.run_id as run_id, fills.session_date as session_date, toInt64(countIf(fills.event_at <= account.marked_until)) as fills
    from {{ ref('int_fills') }} as fills
    inner join account on fills.run_id = account.run_id and fills.session_date = account.session_date
    group by run_id, session_date

),

final as (

    select
        account.run_id as run_id,
        account.session_date as session_date,
        figure.1 as check_name,
        greatest(figure.2, figure.3) as compared,
        toInt64(abs(figure.2 - figure.3)) as differences,
        'the account''s last mark says ' || toString(figure.2) || ', the tables ' || toString(figure.3) as detail
    from account
    left join intents on account.run_id = intents.run_id and account.session_date = intents.session_date
    left join fills on account.run_id = fills.run_id and account.session_date = fills.session_date
    array join [
        ('account_counts_orders', account.orders, intents.orders),
        ('account_counts_fills', account.fills, fills.fills)
    ] as figure

)

select * from final
