-- One row per measured step of the live path; machine clocks of one machine, so a subtraction is honest.
-- stage: tick_to_mark | tick_to_signal | signal_to_enqueued | tick_to_enqueued | request (sent -> reply read).
-- subject: the signal's or intent's id, empty for a mark. Kept 18 months.
CREATE TABLE latencies
(
    run_id            LowCardinality(String),
    session_date      Date,
    stage             LowCardinality(String),
    token             UInt32 COMMENT '0 where the step is of no instrument',
    strategy          LowCardinality(String),
    subject           String CODEC(ZSTD(1)),
    latency_ns        Int64 CODEC(T64, ZSTD(1)),
    event_at          DateTime64(9, 'UTC') COMMENT 'session time' CODEC(DoubleDelta, ZSTD(1)),
    emitted_at        DateTime64(9, 'UTC') COMMENT 'machine clock at the end of the step' CODEC(Delta, ZSTD(1)),
    log_topic         LowCardinality(String),
    log_partition     UInt16,
    log_offset        UInt64 CODEC(Delta, ZSTD(1)),
    archived_at       DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    latency_ms        Float64 ALIAS latency_ns / 1e6,
    event_at_ist      DateTime64(9, 'Asia/Kolkata') ALIAS event_at,
    emitted_at_ist    DateTime64(9, 'Asia/Kolkata') ALIAS emitted_at,
    archived_at_ist   DateTime64(3, 'Asia/Kolkata') ALIAS archived_at
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(session_date)
ORDER BY (run_id, stage, event_at, log_offset)
TTL toDateTime(archived_at) + INTERVAL 18 MONTH
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1
