-- Which version of the owner's risk profile the numbers of a verdict were compared with.
ALTER TABLE verdicts
    ADD COLUMN IF NOT EXISTS profile_version Int64 AFTER check_limit
