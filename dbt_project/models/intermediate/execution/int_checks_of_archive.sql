with

counters as (

    select
        run_id,
        topic,
        argMax(next_offset - start_offset, next_offset) as messages,
        argMax(archived + dead, next_offset) as with_rows,
        argMax(archived + dead + duplicates + empty, next_offset) as accounted,
        argMax(rows, next_offset) as row_count,
        max(archived_at) as archived_last_at
    from {{ source('kitepilot', 'archived_offsets') }}
    group by run_id, topic

),

stored as (

    select * from {{ ref('int_archived_messages') }}

),

-- ticks are kept 30 days: after that there is nothing left to count
final as (

    select
        stored.run_id as run_id,
        stored.session_date as session_date,
        'archive_' || stored.topic as check_name,
        if(stored.topic = 'ticks' and counters.archived_last_at < now() - toIntervalDay(29), 0, toInt64(counters.messages)) as compared,
        toInt64(abs(toInt64(counters.messages) - toInt64(counters.accounted))
            + abs(toInt64(counters.with_rows) - toInt64(stored.stored_messages))
            + abs(toInt64(counters.row_count) - toInt64(stored.stored_rows))) as differences,
        'messages of the topic against their rows: ' || toString(counters.messages) || ' read, '
            || toString(stored.stored_messages) || ' in tables, ' || toString(stored.stored_rows) || ' rows' as detail
    from stored
    left join counters on stored.run_id = counters.run_id and stored.topic = counters.topic

)

select * from final
