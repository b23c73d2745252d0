-- Every session second has one row: a mark's received_at is that of the newest record behind it.
CREATE MATERIALIZED VIEW latencies_of_marks TO latencies AS
SELECT run_id, session_date, 'tick_to_mark' AS stage, toUInt32(0) AS token, '' AS strategy, '' AS subject,
    toUnixTimestamp64Nano(emitted_at) - toUnixTimestamp64Nano(received_at) AS latency_ns,
    event_at, emitted_at, log_topic, log_partition, log_offset, archived_at
FROM marks
WHERE row = 0
