-- Every stored moment can be read in both zones; an alias takes no room.
ALTER TABLE ticks
    ADD COLUMN last_trade_at_ist DateTime64(3, 'Asia/Kolkata') ALIAS last_trade_at,
    ADD COLUMN archived_at_ist DateTime64(3, 'Asia/Kolkata') ALIAS archived_at
