-- Ids of the models whose scores the wish rests on.
ALTER TABLE verdicts
    ADD COLUMN IF NOT EXISTS models Array(LowCardinality(String)) AFTER profile_version
