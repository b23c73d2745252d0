-- One row per trade of ours, as the session log tells it.
CREATE TABLE fills
(
    run_id            LowCardinality(String),
    session_date      Date,
    intent_id         String,
    order_id          String,
    trade_id          String,
    token             UInt32,
    side              LowCardinality(String),
    quantity          Int64,
    price_paise       Int64,
    filled_at         DateTime64(9, 'UTC') COMMENT 'exchange time',
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
ORDER BY (run_id, order_id, trade_id, log_offset)
SETTINGS non_replicated_deduplication_window = 1000
