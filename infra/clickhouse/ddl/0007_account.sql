-- One row per session second: the account as the decision fold sees it.
CREATE TABLE account
(
    run_id            LowCardinality(String),
    session_date      Date,
    state             LowCardinality(String),
    realised_paise    Int64 CODEC(T64, ZSTD(1)),
    unrealised_paise  Int64 CODEC(T64, ZSTD(1)),
    charges_paise     Int64 CODEC(T64, ZSTD(1)),
    open_positions    UInt32 CODEC(T64, ZSTD(1)),
    gross_exposure_paise Int64 CODEC(T64, ZSTD(1)),
    working_orders    UInt32 CODEC(T64, ZSTD(1)),
    oldest_working_at DateTime64(9, 'UTC') COMMENT '1970 where nothing works' CODEC(DoubleDelta, ZSTD(1)),
    orders            UInt32 CODEC(T64, ZSTD(1)),
    fills             UInt32 CODEC(T64, ZSTD(1)),
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
ORDER BY (run_id, event_at, log_offset)
SETTINGS non_replicated_deduplication_window = 1000
