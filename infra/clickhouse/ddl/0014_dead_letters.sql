-- One row per input that could not be used, with its bytes and where it stood.
CREATE TABLE dead_letters
(
    run_id            LowCardinality(String),
    session_date      Date,
    reason            LowCardinality(String),
    origin_topic      LowCardinality(String),
    origin_partition  Int32,
    origin_offset     Int64,
    count             UInt64 COMMENT 'inputs of the same reason that share this letter',
    detail            String,
    payload           String CODEC(ZSTD(3)),
    source            LowCardinality(String),
    seq               UInt64 CODEC(Delta, ZSTD(1)),
    event_at          DateTime64(9, 'UTC') COMMENT 'session time' CODEC(DoubleDelta, ZSTD(1)),
    emitted_at        DateTime64(9, 'UTC') COMMENT 'machine clock when handed to the log' CODEC(Delta, ZSTD(1)),
    log_topic         LowCardinality(String),
    log_partition     UInt16,
    log_offset        UInt64 CODEC(Delta, ZSTD(1)),
    archived_at       DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    event_at_ist      DateTime64(9, 'Asia/Kolkata') ALIAS event_at
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(session_date)
ORDER BY (run_id, reason, log_offset)
SETTINGS non_replicated_deduplication_window = 1000
