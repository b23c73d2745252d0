-- One row per thing of the day that a person asks about, whatever table it came from.
-- kind: feed_gap (value: seconds until it was up again, NULL if it never was) | postback_delay (seconds after the
-- exchange's stamp) | risk_refusal (what the failed check saw) | order_retry (orders sent before this one for the
-- same exit) | order_throttled, order_unknown (seconds until that reply) | drift (what the detector saw; NULL where a model's
-- scores were judged) | breaker (1 open, 0.5 half open, 0 closed) | alarm (1 where it halts).
-- subject: feed state, order, denial code, intent, model or feature, breaker, what the alarm is about.
CREATE VIEW incidents SQL SECURITY INVOKER AS
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
            if(next_at > event_at, (toUnixTimestamp64Nano(next_at) - toUnixTimestamp64Nano(event_at)) / 1e9, NULL) AS value,
            JSONExtractString(detail, 'detail') AS text, event_at, emitted_at, log_topic, log_partition, log_offset
        FROM feed
        WHERE subject = 'down'
        UNION ALL
        SELECT run_id, session_date, 'postback_delay', JSONExtractString(detail, 'order_id'), toUInt32(0), '',
            (toUnixTimestamp64Nano(event_at) - toUnixTimestamp64Nano(stamped_at)) / 1e9,
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
            if(has(check_passed, false), check_observed[indexOf(check_passed, false)], NULL),
            if(has(check_passed, false), concat(check_code[indexOf(check_passed, false)], ': ', toString(check_observed[indexOf(check_passed, false)]), ' against ', toString(check_limit[indexOf(check_passed, false)])), ''),
            event_at, emitted_at, log_topic, log_partition, log_offset
        FROM verdicts
        WHERE NOT approved
        UNION ALL
        SELECT run_id, session_date, 'order_retry', intent_id, token, strategy,
            attempt, purpose, event_at, emitted_at, log_topic, log_partition, log_offset
        FROM intents
        WHERE attempt > 0
        UNION ALL
        SELECT run_id, session_date, concat('order_', kind), intent_id, token, strategy,
            latency_ns / 1e9, detail, event_at, emitted_at, log_topic, log_partition, log_offset
        FROM orders
        WHERE kind IN ('throttled', 'unknown')
        UNION ALL
        SELECT run_id, session_date, 'drift', subject, toUInt32(0), '',
            if(kind = 'drift_found', JSONExtractFloat(detail, 'observed'), NULL),
            if(kind = 'drift_found', concat(JSONExtractString(detail, 'detector'), ' of ', JSONExtractString(detail, 'model'), ': ', toString(JSONExtractFloat(detail, 'observed')), ' against ', toString(JSONExtractFloat(detail, 'limit'))), JSONExtractString(detail, 'detail')),
            event_at, emitted_at, log_topic, log_partition, log_offset
        FROM events
        WHERE kind = 'drift_found' OR (kind = 'model_judged' AND JSONExtractString(detail, 'state') = 'drifted')
        UNION ALL
        SELECT run_id, session_date, if(subject = 'breaker', 'breaker', 'alarm'), JSONExtractString(detail, 'subject'), toUInt32(0), '',
            if(subject = 'breaker', transform(JSONExtractString(detail, 'state'), ['open', 'half_open', 'closed'], [1., 0.5, 0.], 1.), toFloat64(JSONExtractBool(detail, 'halts'))),
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
    toNullable(toFloat64(value)) AS value,
    text AS detail,
    event_at,
    toTimeZone(event_at, 'Asia/Kolkata') AS event_at_ist,
    emitted_at,
    toTimeZone(emitted_at, 'Asia/Kolkata') AS emitted_at_ist,
    log_topic,
    log_partition,
    log_offset
FROM found
