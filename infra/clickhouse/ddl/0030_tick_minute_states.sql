-- One row per run, instrument and minute of exchange time (after merging): what its ticks were, kept when the
-- ticks themselves are gone. Read it through the view `tick_minutes`, which finishes the states.
-- Kept 18 months from the newest archived tick.
CREATE TABLE tick_minute_states
(
    run_id             LowCardinality(String),
    session_date       Date,
    token              UInt32 CODEC(Delta, ZSTD(1)),
    begins_at          DateTime64(3, 'UTC') COMMENT 'exchange time; 1970 where the feed had none' CODEC(DoubleDelta, ZSTD(1)),
    ticks              SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    open_paise         AggregateFunction(argMin, Int64, Tuple(UInt64, UInt32)) CODEC(ZSTD(1)),
    high_paise         SimpleAggregateFunction(max, Int64) CODEC(T64, ZSTD(1)),
    low_paise          SimpleAggregateFunction(min, Int64) CODEC(T64, ZSTD(1)),
    close_paise        AggregateFunction(argMax, Int64, Tuple(UInt64, UInt32)) CODEC(ZSTD(1)),
    day_volume         SimpleAggregateFunction(max, UInt32) COMMENT 'shares since the open, as of the minute''s end' CODEC(T64, ZSTD(1)),
    spread_paise_sum   SimpleAggregateFunction(sum, Int64) COMMENT 'best ask - best bid, over quoted_ticks' CODEC(T64, ZSTD(1)),
    quoted_ticks       SimpleAggregateFunction(sum, UInt64) COMMENT 'ticks with both sides of the book, not crossed as before the open' CODEC(T64, ZSTD(1)),
    delay_ns_sum       SimpleAggregateFunction(sum, Int64) COMMENT 'received - exchange time (whole seconds)' CODEC(ZSTD(1)),
    delay_ns_max       SimpleAggregateFunction(max, Int64) CODEC(ZSTD(1)),
    seconds_seen       SimpleAggregateFunction(groupBitOr, UInt64) COMMENT 'bit n: a tick in second n of the minute' CODEC(ZSTD(1)),
    archived_at        SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    begins_at_ist      DateTime64(3, 'Asia/Kolkata') ALIAS begins_at,
    archived_at_ist    DateTime64(3, 'Asia/Kolkata') ALIAS archived_at
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(session_date)
ORDER BY (run_id, session_date, token, begins_at)
TTL toDateTime(archived_at) + INTERVAL 18 MONTH
SETTINGS non_replicated_deduplication_window = 1000, ttl_only_drop_parts = 1
