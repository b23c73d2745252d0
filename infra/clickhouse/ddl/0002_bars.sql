-- One row per bar and instrument. Prices in paise. Kept 18 months.
CREATE TABLE bars
(
    run_id            LowCardinality(String),
    session_date      Date,
    interval_s        UInt16,
    close_at          DateTime64(9, 'UTC') COMMENT 'end of the bar, session time' CODEC(DoubleDelta, ZSTD(1)),
    token             UInt32 CODEC(Delta, ZSTD(1)),
    open_paise        Int64 CODEC(T64, ZSTD(1)),
    high_paise        Int64 CODEC(T64, ZSTD(1)),
    low_paise         Int64 CODEC(T64, ZSTD(1)),
    close_paise       Int64 CODEC(T64, ZSTD(1)),
    volume            Int64 CODEC(T64, ZSTD(1)),
    tick_count        UInt32 CODEC(T64, ZSTD(1)),
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
