-- Ids of the models whose scores the wish rests on.
ALTER TABLE signals
    ADD COLUMN IF NOT EXISTS models Array(LowCardinality(String)) AFTER rests_on
