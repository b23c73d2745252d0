-- Every stored moment can be read in both zones; an alias takes no room.
ALTER TABLE features
    ADD COLUMN close_at_ist DateTime64(9, 'Asia/Kolkata') ALIAS close_at,
    ADD COLUMN emitted_at_ist DateTime64(9, 'Asia/Kolkata') ALIAS emitted_at,
    ADD COLUMN archived_at_ist DateTime64(3, 'Asia/Kolkata') ALIAS archived_at
