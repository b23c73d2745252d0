-- One row per exchange packet: what the exchange sent, as columns. Prices in paise, quantities in shares.
-- Grain and exactly-once key: (run_id, log_topic, log_offset, row). Index packets have no depth and no volume.
-- Kept 30 days from archiving (not from the session date: a paper run may trade a day long past).
CREATE TABLE ticks
(
    run_id               LowCardinality(String),
    session_date         Date,
    token                UInt32 CODEC(Delta, ZSTD(1)),
    exchange_at          DateTime64(3, 'UTC') COMMENT 'exchange time, whole seconds; 1970 where the feed had none' CODEC(DoubleDelta, ZSTD(1)),
    received_at          DateTime64(9, 'UTC') COMMENT 'machine clock on receipt' CODEC(Delta, ZSTD(1)),
    last_trade_at        DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    last_paise           Int64 CODEC(T64, ZSTD(1)),
    last_quantity        UInt32 CODEC(T64, ZSTD(1)),
    average_paise        Int64 CODEC(T64, ZSTD(1)),
    volume               UInt32 CODEC(Delta, ZSTD(1)),
    total_buy_quantity   UInt32 CODEC(Delta, ZSTD(1)),
    total_sell_quantity  UInt32 CODEC(Delta, ZSTD(1)),
    open_paise           Int64 CODEC(ZSTD(1)),
    high_paise           Int64 CODEC(ZSTD(1)),
    low_paise            Int64 CODEC(ZSTD(1)),
    close_paise          Int64 CODEC(ZSTD(1)),
    bid_paise            Array(Int64) COMMENT 'five levels, best first; empty for an index' CODEC(Delta, ZSTD(1)),
    bid_quantity         Array(UInt32) CODEC(ZSTD(1)),
    bid_orders           Array(UInt16) CODEC(ZSTD(1)),
    ask_paise            Array(Int64) CODEC(Delta, ZSTD(1)),
    ask_quantity         Array(UInt32) CODEC(ZSTD(1)),
    ask_orders           Array(UInt16) CODEC(ZSTD(1)),
    log_topic            LowCardinality(String),
    log_partition        UInt16,
    log_offset           UInt64 CODEC(Delta, ZSTD(1)),
    row                  UInt32 COMMENT 'record number within the log message' CODEC(T64, ZSTD(1)),
    archived_at          DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    exchange_at_ist      DateTime64(3, 'Asia/Kolkata') ALIAS exchange_at,
    received_at_ist      DateTime64(9, 'Asia/Kolkata') ALIAS received_at
)
ENGINE = MergeTree
PARTITION BY session_date
ORDER BY (run_id, token, exchange_at, log_offset, row)
TTL toDateTime(archived_at) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1
