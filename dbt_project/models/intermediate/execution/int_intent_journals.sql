with

children as (

    select * from {{ ref('int_child_orders') }}

),

-- what an intent has come to, as the gateway tells the session: the newest update has the last word
updates as (

    select
        run_id,
        session_date,
        intent_id,
        argMax(status, producer_seq) as told_status,
        argMax(venue_status, producer_seq) as venue_status
    from {{ ref('stg_order_updates') }}
    group by run_id, session_date, intent_id

),

rolled_up as (

    select
        run_id,
        session_date,
        intent_id,
        toInt64(count()) as child_orders,
        arraySort(groupUniqArrayIf(children.order_id, children.order_id != '')) as order_ids,
        sum(children.quantity) as journaled_quantity,
        sum(children.filled_quantity) as filled_quantity,
        argMax(children.status, children.slice) as last_child_status,
        argMax(children.outcome, (children.outcome not in ('', 'accepted'), children.slice)) as outcome,
        argMax(children.refusal_code, (children.refusal_code != '', children.slice)) as refusal_code,
        argMax(children.last_detail, (children.last_detail != '', children.slice)) as message,
        toBool(max(children.was_unknown)) as was_unknown,
        sum(children.late_fill_lines) as late_fills,
        max(children.request_ms) as request_ms,
        min(children.opened_at) as opened_at,
        min(children.journaled_at) as journaled_at,
        min(children.submitted_at) as submitted_at,
        max(children.answered_at) as answered_at,
        max(children.replied_at) as replied_at,
        min(children.first_fill_told_at) as first_fill_told_at,
        if(countIf(children.ended_at is null) = 0, max(children.ended_at), null) as ended_at,
        if(countIf(children.end_told_at is null) = 0, max(children.end_told_at), null) as end_told_at
    from children
    group by run_id, session_date, intent_id

),

final as (

    select
        rolled_up.*,
        if(updates.told_status = '', rolled_up.last_child_status, updates.told_status) as status,
        updates.venue_status as venue_status
    from rolled_up
    left join updates
        on rolled_up.run_id = updates.run_id and rolled_up.session_date = updates.session_date
        and rolled_up.intent_id = updates.intent_id

)

select * from final
