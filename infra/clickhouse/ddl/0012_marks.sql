-- One row per instrument whose quote changed within a session second. 0 where there is no depth.
CREATE TABLE marks
(
    run_id            LowCardinality(String),
    session_date      Date,
    token             UInt32 CODEC(Delta, ZSTD(1)),
    last_paise        Int64 CODEC(T64, ZSTD(1)),
    bid_paise         Int64 CODEC(T64, ZSTD(1)),
    ask_paise         Int64 CODEC(T64, ZSTD(1)),
    quoted_at         DateTime64(9, 'UTC') COMMENT 'exchange time of the quote' CODEC(DoubleDelta, ZSTD(1)),
    received_at       DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
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
ORDER BY (run_id, token, event_at, log_offset)
TTL toDateTime(archived_at) + INTERVAL 18 MONTH
SETTINGS non_replicated_deduplication_window = 1000
