-- A model's share in the blended score of the same close; 0 for a score that has no part in it.
ALTER TABLE scores
    ADD COLUMN IF NOT EXISTS weight Float64 AFTER score
