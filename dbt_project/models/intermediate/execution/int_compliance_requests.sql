with

requests as (

    select * from {{ ref('int_order_requests') }}

),

children as (

    select * from {{ ref('int_child_orders') }}

),

instruments as (

    select * from {{ ref('int_run_instruments') }}

),

rates as (

    select
        run_id,
        session_date,
        arrayJoin([
            ('orders_per_second', countIf(requested_at is not null), max(requests_in_second)),
            ('orders_per_minute', countIf(requested_at is not null), max(requests_in_minute)),
            ('orders_per_day', count(), count()),
            ('static_ip', count(), countIf(refusal_code = 'ip_refused'))
        ]) as judgement
    from requests
    group by run_id, session_date

),

orders as (

    select
        children.run_id as run_id,
        children.session_date as session_date,
        arrayJoin([
            ('order_tags', count(), countIf(not match(children.intent_id, '^[A-Z2-7]{18}$') or children.slice not between 0 and 99)),
            ('freeze_quantity', countIf(instruments.freeze_quantity > 0), countIf(children.quantity > instruments.freeze_quantity))
        ]) as judgement
    from children
    left join instruments
        on children.run_id = instruments.run_id and children.session_date = instruments.session_date
        and children.token = instruments.token
    group by run_id, session_date

),

judged as (

    select * from rates
    union all
    select * from orders

),

final as (

    select
        run_id,
        session_date,
        judgement.1 as rule,
        toFloat64(judgement.2) as cases,
        toFloat64(judgement.3) as observed
    from judged

)

select * from final
