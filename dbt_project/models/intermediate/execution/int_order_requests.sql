with

children as (

    select * from {{ ref('int_child_orders') }}

),

-- what our own side refused never left: the second look, the fence, our share of the day, an open breaker
requests as (

    select
        run_id,
        session_date,
        intent_id,
        slice,
        outcome,
        refusal_code,
        submitted_event_at as requested_at
    from children
    where refusal_code not in ('gateway_limit', 'fenced', 'breaker_open', 'unreachable', 'intent')

),

final as (

    select
        *,
        count() over (
            partition by run_id, session_date order by toUnixTimestamp64Micro(toDateTime64(requested_at, 6))
            range between 999999 preceding and current row
        ) as requests_in_second,
        count() over (
            partition by run_id, session_date order by toUnixTimestamp64Micro(toDateTime64(requested_at, 6))
            range between 59999999 preceding and current row
        ) as requests_in_minute
    from requests

)

select * from final
