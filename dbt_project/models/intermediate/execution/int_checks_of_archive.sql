with

runs as (

    select run_id, session_date
    from {{ ref('stg_runs') }}

),

counters as (

    select
        run_id,
        topic,
        toInt64(argMax(next_offset - start_offset, next_offset)) as messages,
        toInt64(argMax(archived + dead, next_offset)) as with_rows,
        toInt64(argMax(archived + dead + duplicates + empty, next_offset)) as accounted,
        toInt64(argMax(row_count, next_offset)) as rows_written,
        max(archived_at) as archived_last_at
    from {{ ref('stg_archived_offsets') }}
    group by run_id, topic

),

stored as (

    select run_id, session_date, topic, toInt64(stored_messages) as stored_messages, toInt64(stored_rows) as stored_rows
    from {{ ref('int_archived_messages') }}

),

-- ticks are kept 30 days: after that there is nothing left to count
final as (

    select
        runs.run_id as run_id,
        runs.session_date as session_date,
        'archive_' || counters.topic as check_name,
        if(counters.topic = 'ticks' and counters.archived_last_at < now() - toIntervalDay(29), 0, counters.messages) as compared,
        toInt64(
            abs(counters.messages - counters.accounted) + abs(counters.with_rows - stored.stored_messages)
            + abs(counters.rows_written - stored.stored_rows)
        ) as differences,
        'messages of the topic against their rows: ' || toString(counters.messages) || ' read, '
            || toString(stored.stored_messages) || ' in tables, ' || toString(stored.stored_rows) || ' rows' as detail
    from runs
    inner join counters on runs.run_id = counters.run_id
    left join stored
        on runs.run_id = stored.run_id and runs.session_date = stored.session_date and counters.topic = stored.topic

)

select * from final
