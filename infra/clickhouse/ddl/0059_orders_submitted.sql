-- When a request left, in both clocks: rates are counted in session time. 1970 on lines that are no reply, where
-- nothing left, and in what was archived before.
ALTER TABLE orders
    ADD COLUMN IF NOT EXISTS submitted_at DateTime64(9, 'UTC') COMMENT 'machine clock' AFTER slice,
    ADD COLUMN IF NOT EXISTS submitted_event_at DateTime64(9, 'UTC') COMMENT 'session time' AFTER submitted_at,
    ADD COLUMN IF NOT EXISTS submitted_at_ist DateTime64(9, 'Asia/Kolkata') ALIAS submitted_at,
    ADD COLUMN IF NOT EXISTS submitted_event_at_ist DateTime64(9, 'Asia/Kolkata') ALIAS submitted_event_at
