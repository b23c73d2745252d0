-- A part goes when its newest row has: the TTL deletes files and never rewrites a month. A row archived late keeps
-- its part that much longer.
ALTER TABLE marks MODIFY SETTING ttl_only_drop_parts = 1
