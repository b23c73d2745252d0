-- One row per rare event: run started, command, feed up or down, change of the trading state.
-- kind is the message's type tag; detail is the whole message as JSON.
CREATE TABLE events
(
    run_id            LowCardinality(String),
    session_date      Date,
    kind              LowCardinality(String),
    subject           LowCardinality(String) COMMENT 'command, feed state or trading state',
    detail            String CODEC(ZSTD(3)),
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
