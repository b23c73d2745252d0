-- From the request sent to the broker's reply read.
CREATE MATERIALIZED VIEW latencies_of_orders TO latencies AS
SELECT run_id, session_date, 'request' AS stage, token AS token, strategy AS strategy, intent_id AS subject,
    latency_ns AS latency_ns,
    event_at, emitted_at, log_topic, log_partition, log_offset, archived_at
FROM orders
WHERE latency_ns > 0
