-- Measured by benchmarks/clickhouse_codecs.py (a synthetic session, merged): bytes a tick in these columns before and after.
-- total quantities 2.35 -> 1.98, volume 0.94 -> 0.69, received_at 4.27 -> 4.07.
ALTER TABLE ticks
    MODIFY COLUMN total_buy_quantity CODEC(T64, ZSTD(1)),
    MODIFY COLUMN total_sell_quantity CODEC(T64, ZSTD(1)),
    MODIFY COLUMN volume CODEC(Delta, T64, ZSTD(1)),
    MODIFY COLUMN received_at CODEC(Delta, T64, ZSTD(1))
