-- Every stored moment can be read in both zones; an alias takes no room.
ALTER TABLE candles
    ADD COLUMN loaded_at_ist DateTime64(3, 'Asia/Kolkata') ALIAS loaded_at
