-- One row per line of an order's life as the gateway journaled it.
CREATE TABLE orders
(
    run_id            LowCardinality(String),
    session_date      Date,
    intent_id         String,
    order_id          String,
    token             UInt32,
    tradingsymbol     LowCardinality(String),
    side              LowCardinality(String),
    purpose           LowCardinality(String),
    strategy          LowCardinality(String),
    kind              LowCardinality(String),
    status            LowCardinality(String),
    quantity          Int64,
    filled_quantity   Int64,
    price_paise       Int64,
    trade_id          String,
    detail            String,
    latency_ns        Int64 COMMENT 'request sent to reply read',
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
ORDER BY (run_id, intent_id, event_at, log_offset)
SETTINGS non_replicated_deduplication_window = 1000
