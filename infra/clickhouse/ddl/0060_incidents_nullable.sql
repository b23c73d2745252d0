-- The same view, each part of one type: a union of parts that differ in Nullable showed an open gap as 0 (26.9).
CREATE OR REPLACE VIEW incidents SQL SECURITY INVOKER AS
WITH
    feed AS
    (
        SELECT run_id, session_date, subject, detail, event_at, emitted_at, log_topic, log_partition, log_offset,
            leadInFrame(event_at) OVER (PARTITION BY run_id ORDER BY log_offset ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next_at
        FROM events
        WHERE kind = 'feed_changed'
    ),
    found AS
    (
        SELECT run_id, session_date, 'feed_gap' AS kind, subject, toUInt32(0) AS token, '' AS strategy,
            CAST(if(next_at > event_at, (toUnixTimestamp64Nano(next_at) - toUnixTimestamp64Nano(event_at)) / 1e9, NULL) AS Nullable(Float64)) AS value,
            JSONExtractString(detail, 'detail') AS text, event_at, emitted_at, log_topic, log_partition, log_offset
        FROM feed
        WHERE subject = 'down'
        UNION ALL
        SELECT run_id, session_date, 'postback_delay', JSONExtractString(detail, 'order_id'), toUInt32(0), '',
            CAST((toUnixTimestamp64Nano(event_at) - toUnixTimestamp64Nano(stamped_at)) / 1e9 AS Nullable(Float64)) AS value,
            subject, event_at, emitted_at, log_topic, log_partition, log_offset
        FROM
        (
            SELECT *, parseDateTime64BestEffortOrNull(JSONExtractString(JSONExtractString(detail, 'body'), 'exchange_update_timestamp'), 9, 'Asia/Kolkata') AS stamped_at
            FROM events
            WHERE kind = 'postback_received'
        )
        WHERE stamped_at IS NOT NULL
        UNION ALL
        SELECT run_id, session_date, 'risk_refusal', denial, token, strategy,
            CAST(if(has(check_passed, false), check_observed[indexOf(check_passed, false)], NULL) AS Nullable(Float64)) AS value,
            if(has(check_passed, false), concat(check_code[indexOf(check_passed, false)], ': ', toString(check_observed[indexOf(check_passed, false)]), ' against ', toString(check_limit[indexOf(check_passed, false)])), ''),
            event_at, emitted_at, log_topic, log_partition, log_offset
        FROM verdicts
        WHERE NOT approved
        UNION ALL
        SELECT run_id, session_date, 'order_retry', intent_id, token, strategy,
            CAST(attempt AS Nullable(Float64)) AS value, purpose, event_at, emitted_at, log_topic, log_partition, log_offset
        FROM intents
        WHERE attempt > 0
        UNION ALL
        SELECT run_id, session_date, concat('order_', kind), intent_id, token, strategy,
            CAST(latency_ns / 1e9 AS Nullable(Float64)) AS value, detail, event_at, emitted_at, log_topic, log_partition, log_offset
        FROM orders
        WHERE kind IN ('throttled', 'unknown')
        UNION ALL
        SELECT run_id, session_date, 'drift', subject, toUInt32(0), '',
            CAST(if(kind = 'drift_found', JSONExtractFloat(detail, 'observed'), NULL) AS Nullable(Float64)) AS value,
            if(kind = 'drift_found', concat(JSONExtractString(detail, 'detector'), ' of ', JSONExtractString(detail, 'model'), ': ', toString(JSONExtractFloat(detail, 'observed')), ' against ', toString(JSONExtractFloat(detail, 'limit'))), JSONExtractString(detail, 'detail')),
            event_at, emitted_at, log_topic, log_partition, log_offset
        FROM events
        WHERE kind = 'drift_found' OR (kind = 'model_judged' AND JSONExtractString(detail, 'state') = 'drifted')
        UNION ALL
        SELECT run_id, session_date, if(subject = 'breaker', 'breaker', 'alarm'), JSONExtractString(detail, 'subject'), toUInt32(0), '',
            CAST(if(subject = 'breaker', transform(JSONExtractString(detail, 'state'), ['open', 'half_open', 'closed'], [1., 0.5, 0.], 1.), toFloat64(JSONExtractBool(detail, 'halts'))) AS Nullable(Float64)) AS value,
            JSONExtractString(detail, 'detail'), event_at, emitted_at, log_topic, log_partition, log_offset
        FROM events
        WHERE kind = 'alarmed'
    )
SELECT
    run_id,
    session_date,
    kind,
    subject,
    token,
    strategy,
    value,
    text AS detail,
    event_at,
    toTimeZone(event_at, 'Asia/Kolkata') AS event_at_ist,
    emitted_at,
    toTimeZone(emitted_at, 'Asia/Kolkata') AS emitted_at_ist,
    log_topic,
    log_partition,
    log_offset
FROM found
