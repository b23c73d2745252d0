-- One row per model, bar close and instrument; NaN while a model warms up. Kept 18 months, like what it was made from.
CREATE TABLE scores
(
    run_id            LowCardinality(String),
    session_date      Date,
    model             LowCardinality(String),
    interval_s        UInt16,
    close_at          DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    token             UInt32 CODEC(Delta, ZSTD(1)),
    score             Float64 CODEC(ZSTD(1)),
    source            LowCardinality(String),
    seq               UInt64 CODEC(Delta, ZSTD(1)),
    event_at          DateTime64(9, 'UTC') COMMENT 'session time' CODEC(DoubleDelta, ZSTD(1)),
    emitted_at        DateTime64(9, 'UTC') COMMENT 'machine clock when handed to the log' CODEC(Delta, ZSTD(1)),
    log_topic         LowCardinality(String),
    log_partition     UInt16,
    log_offset        UInt64 CODEC(Delta, ZSTD(1)),
    row               UInt32 COMMENT 'row within the log message' CODEC(T64, ZSTD(1)),
    archived_at       DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    event_at_ist      DateTime64(9, 'Asia/Kolkata') ALIAS event_at
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(session_date)
ORDER BY (run_id, model, token, close_at, log_offset)
TTL toDateTime(archived_at) + INTERVAL 18 MONTH
SETTINGS non_replicated_deduplication_window = 1000
