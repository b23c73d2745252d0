-- Every stored moment can be read in both zones; an alias takes no room.
ALTER TABLE dataset_bars
    ADD COLUMN loaded_at_ist DateTime64(3, 'Asia/Kolkata') ALIAS loaded_at
