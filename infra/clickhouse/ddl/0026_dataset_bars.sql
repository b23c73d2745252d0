-- One row per 1 m bar of an imported dataset, as it is stored: prices in paise, not adjusted.
CREATE TABLE dataset_bars
(
    dataset           LowCardinality(String),
    session           Date,
    tradingsymbol     LowCardinality(String),
    token             UInt32,
    begins_at         DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    open_paise        Int64 CODEC(T64, ZSTD(1)),
    high_paise        Int64 CODEC(T64, ZSTD(1)),
    low_paise         Int64 CODEC(T64, ZSTD(1)),
    close_paise       Int64 CODEC(T64, ZSTD(1)),
    volume            Int64 CODEC(T64, ZSTD(1)),
    content           LowCardinality(String) COMMENT 'hash of the session''s rows; one per dataset and session',
    loaded_at         DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    begins_at_ist     DateTime64(3, 'Asia/Kolkata') ALIAS begins_at
)
ENGINE = MergeTree
PARTITION BY toYear(begins_at)
ORDER BY (dataset, tradingsymbol, begins_at)
