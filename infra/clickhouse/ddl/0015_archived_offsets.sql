-- One row per flush and topic; the newest wins. Counters are totals of the run up to `next_offset`:
-- messages = archived + duplicates + dead + empty, so nothing can go missing unseen.
CREATE TABLE archived_offsets
(
    run_id        LowCardinality(String),
    topic         LowCardinality(String),
    partition     UInt16,
    start_offset  UInt64,
    next_offset   UInt64 COMMENT 'everything below is archived',
    archived      UInt64 COMMENT 'messages that became at least one row',
    duplicates    UInt64 COMMENT 'messages a restarted producer sent again',
    dead          UInt64 COMMENT 'undecodable messages, each one row of dead_letters',
    empty         UInt64 COMMENT 'messages without anything to store: clocks alone, a second without quotes',
    rows          UInt64 COMMENT 'rows written to all tables',
    own_records   UInt64 COMMENT 'clock and feed-state records inside ticks messages',
    archived_at   DateTime64(3, 'UTC') DEFAULT now64(3),
    archived_at_ist DateTime64(3, 'Asia/Kolkata') ALIAS archived_at
)
ENGINE = ReplacingMergeTree(next_offset)
ORDER BY (run_id, topic, partition)
SETTINGS non_replicated_deduplication_window = 1000
