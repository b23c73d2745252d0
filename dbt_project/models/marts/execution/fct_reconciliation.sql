with

runs as (

    select run_id, session_date
    from {{ ref('stg_runs') }}
    where {{ days_to_build() }}

),

checks as (

    select * from {{ ref('reconciliation_checks') }}

),

found as (

    select run_id, session_date, check_name, compared, differences, detail from {{ ref('int_checks_against_broker') }}
    where {{ days_to_build() }}
    union all
    select run_id, session_date, check_name, compared, differences, detail from {{ ref('int_checks_of_archive') }}
    where {{ days_to_build() }}
    union all
    select run_id, session_date, check_name, compared, differences, detail from {{ ref('int_checks_of_links') }}
    where {{ days_to_build() }}
    union all
    select run_id, session_date, check_name, compared, differences, detail from {{ ref('int_checks_of_fold') }}
    where {{ days_to_build() }}

),

every as (

    select runs.run_id as run_id, runs.session_date as session_date, checks.check_name as check_name, checks.meaning as meaning
    from runs
    cross join checks

),

final as (

    select
        every.run_id as run_id,
        every.session_date as session_date,
        every.check_name as check_name,
        every.meaning as meaning,
        coalesce(found.compared, 0) as compared,
        if(found.compared > 0, found.differences, null) as differences,
        multiIf(coalesce(found.compared, 0) = 0, 'not_observed', found.differences = 0, 'held', 'broken') as status,
        coalesce(found.detail, '') as detail
    from every
    left join found
        on every.run_id = found.run_id and every.session_date = found.session_date
        and every.check_name = found.check_name

)

select * from final
