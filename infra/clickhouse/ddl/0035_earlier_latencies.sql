-- Steps archived before the table existed. Empty table: a repetition after a crash adds nothing twice.
INSERT INTO latencies (run_id, session_date, stage, token, strategy, subject, latency_ns, event_at, emitted_at, log_topic, log_partition, log_offset, archived_at)
SELECT * FROM
(
SELECT run_id, session_date, 'tick_to_mark' AS stage, toUInt32(0) AS token, '' AS strategy, '' AS subject,
    toUnixTimestamp64Nano(emitted_at) - toUnixTimestamp64Nano(received_at) AS latency_ns,
    event_at, emitted_at, log_topic, log_partition, log_offset, archived_at
FROM marks
WHERE row = 0
UNION ALL
SELECT run_id, session_date, 'tick_to_signal' AS stage, token AS token, strategy AS strategy, signal_id AS subject,
    toUnixTimestamp64Nano(emitted_at) - toUnixTimestamp64Nano(received_at) AS latency_ns,
    event_at, emitted_at, log_topic, log_partition, log_offset, archived_at
FROM signals
WHERE toUnixTimestamp64Nano(received_at) > 0
UNION ALL
SELECT run_id, session_date, step.1 AS stage, token, strategy, intent_id AS subject,
    toUnixTimestamp64Nano(emitted_at) - step.2 AS latency_ns,
    event_at, emitted_at, log_topic, log_partition, log_offset, archived_at
FROM intents
ARRAY JOIN [('signal_to_enqueued', toUnixTimestamp64Nano(signal_emitted_at)), ('tick_to_enqueued', toUnixTimestamp64Nano(received_at))] AS step
WHERE step.2 > 0
UNION ALL
SELECT run_id, session_date, 'request' AS stage, token AS token, strategy AS strategy, intent_id AS subject,
    latency_ns AS latency_ns,
    event_at, emitted_at, log_topic, log_partition, log_offset, archived_at
FROM orders
WHERE latency_ns > 0
)
WHERE (SELECT count() FROM latencies) = 0
SETTINGS min_insert_block_size_rows = 10000000, min_insert_block_size_bytes = 0, max_insert_threads = 1, max_threads = 1
