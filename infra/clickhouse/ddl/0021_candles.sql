-- One row per historical candle, as the broker gives it. Prices in paise. One file of candles is one `part`.
CREATE TABLE candles
(
    interval          LowCardinality(String) COMMENT 'minute, 3minute, ... 60minute, day',
    tradingsymbol     LowCardinality(String),
    token             UInt32,
    begins_at         DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    open_paise        Int64 CODEC(T64, ZSTD(1)),
    high_paise        Int64 CODEC(T64, ZSTD(1)),
    low_paise         Int64 CODEC(T64, ZSTD(1)),
    close_paise       Int64 CODEC(T64, ZSTD(1)),
    volume            Int64 CODEC(T64, ZSTD(1)),
    in_session        Bool COMMENT 'on the interval''s grid, within the session''s hours',
    part              LowCardinality(String) COMMENT 'the file it came from, below candles/',
    content           LowCardinality(String) COMMENT 'hash of that file; one per part',
    loaded_at         DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    begins_at_ist     DateTime64(3, 'Asia/Kolkata') ALIAS begins_at
)
ENGINE = MergeTree
PARTITION BY toYear(begins_at)
ORDER BY (interval, tradingsymbol, begins_at)
SETTINGS non_replicated_deduplication_window = 1000
