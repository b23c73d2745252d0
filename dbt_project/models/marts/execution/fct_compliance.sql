with

runs as (

    select run_id, session_date, mode
    from {{ ref('stg_runs') }}
    where {{ days_to_build() }}

),

rules as (

    select * from {{ ref('compliance_rules') }}

),

judged as (

    select run_id, session_date, rule, cases, observed from {{ ref('int_compliance_orders') }}
    where {{ days_to_build() }}
    union all
    select run_id, session_date, rule, cases, observed from {{ ref('int_compliance_requests') }}
    where {{ days_to_build() }}
    union all
    select run_id, session_date, rule, cases, observed from {{ ref('int_compliance_session') }}
    where {{ days_to_build() }}

),

-- every rule of every run has a row: what was not looked at is said to be so
every as (

    select runs.run_id as run_id, runs.session_date as session_date, runs.mode as mode, rules.*
    from runs
    cross join rules

),

final as (

    select
        every.run_id as run_id,
        every.session_date as session_date,
        every.mode as mode,
        every.rule as rule,
        every.unit as unit,
        every.meaning as meaning,
        every.basis as basis,
        toInt64(judged.cases) as cases,
        if(judged.cases > 0, judged.observed, null) as observed,
        every.allowed as allowed,
        multiIf(
            coalesce(judged.cases, 0) = 0 or every.allowed is null, 'not_observed',
            judged.observed <= every.allowed, 'held',
            'broken'
        ) as status
    from every
    left join judged
        on every.run_id = judged.run_id and every.session_date = judged.session_date and every.rule = judged.rule

)

select * from final
