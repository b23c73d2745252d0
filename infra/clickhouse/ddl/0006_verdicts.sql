-- One row per proposed order: approved or denied, with every check and the numbers it compared.
CREATE TABLE verdicts
(
    run_id            LowCardinality(String),
    session_date      Date,
    verdict_id        String,
    signal_id         String COMMENT 'empty for the fold''s own exits',
    strategy          LowCardinality(String),
    token             UInt32,
    tradingsymbol     LowCardinality(String),
    purpose           LowCardinality(String),
    side              LowCardinality(String),
    quantity          Int64,
    limit_price_paise Int64,
    approved          Bool,
    denial            LowCardinality(String) COMMENT 'code of the first failed check',
    intent_id         String,
    state             LowCardinality(String) COMMENT 'trading state',
    check_code        Array(LowCardinality(String)),
    check_passed      Array(Bool),
    check_observed    Array(Float64),
    check_limit       Array(Float64),
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
