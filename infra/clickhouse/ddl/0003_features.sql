-- One row per bar close and instrument: the feature vector, named. Kept 18 months.
-- values[indexOf(names, 'x')] reads one feature; a name that is not there reads as 0, so filter by has(names, 'x').
CREATE TABLE features
(
    run_id            LowCardinality(String),
    session_date      Date,
    interval_s        UInt16,
    close_at          DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    token             UInt32 CODEC(Delta, ZSTD(1)),
    names             Array(LowCardinality(String)),
    values            Array(Float64) COMMENT 'same order as names' CODEC(ZSTD(1)),
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
ORDER BY (run_id, interval_s, token, close_at, log_offset)
TTL toDateTime(archived_at) + INTERVAL 18 MONTH
SETTINGS non_replicated_deduplication_window = 1000
