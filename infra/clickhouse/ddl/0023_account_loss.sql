-- What the risk limits compare: loss at the marks and at the stops, fall from the best, entries, profile.
ALTER TABLE account
    ADD COLUMN IF NOT EXISTS loss_paise Int64 CODEC(T64, ZSTD(1)) AFTER fills,
    ADD COLUMN IF NOT EXISTS worst_case_paise Int64 CODEC(T64, ZSTD(1)) AFTER loss_paise,
    ADD COLUMN IF NOT EXISTS drawdown_paise Int64 CODEC(T64, ZSTD(1)) AFTER worst_case_paise,
    ADD COLUMN IF NOT EXISTS trades UInt32 CODEC(T64, ZSTD(1)) AFTER drawdown_paise,
    ADD COLUMN IF NOT EXISTS profile_version Int64 CODEC(T64, ZSTD(1)) AFTER trades
