with

runs as (

    select run_id, session_date, emitted_at from {{ ref('stg_runs') }}

),

final as (

    select run_id, session_date
    from runs
    order by emitted_at desc
    limit 1

)

select * from final
