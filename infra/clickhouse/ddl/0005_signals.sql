-- One row per signal. side is empty where the strategy only wants to leave.
CREATE TABLE signals
(
    run_id            LowCardinality(String),
    session_date      Date,
    signal_id         String,
    strategy          LowCardinality(String),
    token             UInt32,
    tradingsymbol     LowCardinality(String),
    side              LowCardinality(String),
    strength          Float64,
    interval_s        UInt16,
    bar_close_at      DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    horizon_s         UInt32,
    stop_bps          Int32,
    take_profit_bps   Int32,
    last_paise        Int64 COMMENT 'decision price',
    bid_paise         Int64,
    ask_paise         Int64,
    features          Map(LowCardinality(String), Float64),
    scores            Map(LowCardinality(String), Float64) COMMENT 'model -> score',
    received_at       DateTime64(9, 'UTC') COMMENT 'machine clock of the record that completed the bar' CODEC(Delta, ZSTD(1)),
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
ORDER BY (run_id, token, event_at, log_offset)
SETTINGS non_replicated_deduplication_window = 1000
