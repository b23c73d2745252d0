-- Exits climb a ladder: market orders carry a protection, and each exit says how many came before it.
ALTER TABLE intents
    ADD COLUMN protection_bps Int64 AFTER signal_emitted_at,
    ADD COLUMN attempt Int64 AFTER protection_bps
