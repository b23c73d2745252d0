-- From the signal, and from the tick behind it, to the intent on the log; the desk's own exits have neither.
CREATE MATERIALIZED VIEW latencies_of_intents TO latencies AS
SELECT run_id, session_date, step.1 AS stage, token, strategy, intent_id AS subject,
    toUnixTimestamp64Nano(emitted_at) - step.2 AS latency_ns,
    event_at, emitted_at, log_topic, log_partition, log_offset, archived_at
FROM intents
ARRAY JOIN [('signal_to_enqueued', toUnixTimestamp64Nano(signal_emitted_at)), ('tick_to_enqueued', toUnixTimestamp64Nano(received_at))] AS step
WHERE step.2 > 0
