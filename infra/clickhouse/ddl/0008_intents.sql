-- One row per approved order, before it was sent.
CREATE TABLE intents
(
    run_id            LowCardinality(String),
    session_date      Date,
    intent_id         String,
    config_hash       LowCardinality(String),
    signal_id         String,
    verdict_id        String,
    strategy          LowCardinality(String),
    purpose           LowCardinality(String),
    token             UInt32,
    tradingsymbol     LowCardinality(String),
    side              LowCardinality(String),
    quantity          Int64,
    order_type        LowCardinality(String),
    limit_price_paise Int64,
    validity          LowCardinality(String),
    decision_price_paise Int64,
    received_at       DateTime64(9, 'UTC') COMMENT 'machine clock of the tick behind the signal; 1970 for own exits',
    signal_emitted_at DateTime64(9, 'UTC'),
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
ORDER BY (run_id, event_at, intent_id, log_offset)
SETTINGS non_replicated_deduplication_window = 1000
