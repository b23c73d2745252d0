-- From the record that completed the bar to the signal on the log.
CREATE MATERIALIZED VIEW latencies_of_signals TO latencies AS
SELECT run_id, session_date, 'tick_to_signal' AS stage, token AS token, strategy AS strategy, signal_id AS subject,
    toUnixTimestamp64Nano(emitted_at) - toUnixTimestamp64Nano(received_at) AS latency_ns,
    event_at, emitted_at, log_topic, log_partition, log_offset, archived_at
FROM signals
WHERE toUnixTimestamp64Nano(received_at) > 0
