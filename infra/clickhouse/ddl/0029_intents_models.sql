-- Ids of the models whose scores the wish rests on.
ALTER TABLE intents
    ADD COLUMN IF NOT EXISTS models Array(LowCardinality(String)) AFTER attempt
