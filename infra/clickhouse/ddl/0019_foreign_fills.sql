-- One row per intraday trade of the account that is not ours, as the session log tells it.
CREATE TABLE foreign_fills
(
    run_id            LowCardinality(String),
    session_date      Date,
    order_id          String,
    trade_id          String,
    token             UInt32,
    tradingsymbol     LowCardinality(String),
    side              LowCardinality(String),
    quantity          Int64,
    price_paise       Int64,
    filled_at         DateTime64(9, 'UTC') COMMENT 'exchange time',
    placed_by         LowCardinality(String),
    by_broker         Bool COMMENT 'placed by the broker, not by the owner',
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
