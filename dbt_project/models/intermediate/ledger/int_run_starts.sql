-- How a run was announced; a restarted producer may say it twice, the first word counts.
with

runs as (

    select * from {{ ref('stg_runs') }}

),

instruments as (

    select * from {{ ref('int_listed_instruments') }}

),

cutoffs as (

    select
        session_date,
        run_id,
        max(force_flat_at) as force_flat_at
    from instruments
    group by session_date, run_id

),

first_words as (

    select
        session_date,
        run_id,
        min(emitted_at) as started_at,
        argMin(mode, log_offset) as mode,
        argMin(config_hash, log_offset) as config_hash,
        argMin(session_open_at, log_offset) as open_at,
        argMin(session_close_at, log_offset) as close_at,
        argMin(strategies, log_offset) as strategies,
        argMin(instrument_count, log_offset) as instrument_count
    from runs
    group by session_date, run_id

),

final as (

    select
        first_words.*,
        cutoffs.force_flat_at as force_flat_at,
        -- a day may be traded several times on paper: the newest counts. A live day's runs are one day together
        mode = 'live' or row_number() over (partition by session_date, mode order by started_at desc, run_id desc) = 1
            as counts_in_performance
    from first_words
    left join cutoffs using (session_date, run_id)

)

select * from final
