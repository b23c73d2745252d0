-- Every stored moment can be read in both zones; an alias takes no room.
ALTER TABLE intents
    ADD COLUMN received_at_ist DateTime64(9, 'Asia/Kolkata') ALIAS received_at,
    ADD COLUMN signal_emitted_at_ist DateTime64(9, 'Asia/Kolkata') ALIAS signal_emitted_at,
    ADD COLUMN emitted_at_ist DateTime64(9, 'Asia/Kolkata') ALIAS emitted_at,
    ADD COLUMN archived_at_ist DateTime64(3, 'Asia/Kolkata') ALIAS archived_at
