-- Offsets of a topic are dense: a bitmap counts them exactly, in a fraction of the time and memory of a set.
-- Where on the log a row came from is the archive's own affair, so these are the raw tables, not their staging.
with

{% set tables = [
    'ticks', 'bars', 'features', 'scores', 'signals', 'verdicts', 'account', 'intents', 'orders', 'fills',
    'order_updates', 'marks', 'events', 'dead_letters', 'foreign_fills'
] %}
messages as (

    {% for table in tables %}
    select run_id, session_date, log_topic, log_partition, log_offset
    from {{ source('kitepilot', table) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

final as (

    select
        run_id,
        session_date,
        log_topic as topic,
        groupBitmap(bitShiftLeft(toUInt64(log_partition), 48) + log_offset) as stored_messages,
        count() as stored_rows
    from messages
    group by run_id, session_date, topic

)

select * from final
