with

source as (

    select * from {{ source('kitepilot', 'events') }}
    where kind in ('run_started', 'profile_activated')

),

profiles as (

    select
        run_id,
        session_date,
        event_at as in_force_from,
        log_offset,
        if(kind = 'run_started', JSONExtractRaw(detail, 'parameters', 'profile'), JSONExtractRaw(detail, 'profile')) as profile
    from source

),

renamed as (

    select
        run_id,
        session_date,
        in_force_from,
        log_offset,
        JSONExtractInt(profile, 'version') as profile_version,
        tupleElement(limits, 1) as limit_name,
        tupleElement(limits, 2) as limit_value
    from profiles
    array join JSONExtractKeysAndValues(profile, 'limits', 'Float64') as limits

)

select * from renamed
