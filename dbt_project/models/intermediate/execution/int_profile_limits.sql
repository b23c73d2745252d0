with

started as (

    select
        run_id,
        session_date,
        toInt64(JSONExtractInt(detail, 'parameters', 'profile', 'version')) as profile_version,
        JSONExtract(detail, 'parameters', 'profile', 'limits', 'Map(String, Float64)') as limits
    from {{ ref('stg_events') }}
    where event_kind = 'run_started'

),

activated as (

    select run_id, session_date, toInt64(profile_version) as profile_version, limits
    from {{ ref('stg_profiles') }}

),

profiles as (

    select * from started
    union distinct
    select * from activated

),

final as (

    select
        run_id,
        session_date,
        profile_version,
        pair.1 as setting,
        pair.2 as allowed
    from profiles
    array join arrayZip(mapKeys(limits), mapValues(limits)) as pair

)

select * from final
