-- The scores without which the strategy would not have wished.
ALTER TABLE signals
    ADD COLUMN IF NOT EXISTS rests_on Array(LowCardinality(String)) AFTER received_at
