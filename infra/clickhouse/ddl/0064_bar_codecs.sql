-- Measured as the ticks: prices are multiples of the tick size (0.90 -> 0.60 each), numbers follow each other (0.39 -> 0.01).
ALTER TABLE bars
    MODIFY COLUMN open_paise CODEC(GCD, ZSTD(1)),
    MODIFY COLUMN high_paise CODEC(GCD, ZSTD(1)),
    MODIFY COLUMN low_paise CODEC(GCD, ZSTD(1)),
    MODIFY COLUMN close_paise CODEC(GCD, ZSTD(1)),
    MODIFY COLUMN seq CODEC(DoubleDelta, ZSTD(1)),
    MODIFY COLUMN log_offset CODEC(DoubleDelta, ZSTD(1)),
    MODIFY COLUMN emitted_at CODEC(Delta, T64, ZSTD(1))
