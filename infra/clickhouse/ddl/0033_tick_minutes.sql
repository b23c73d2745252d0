-- One row per run, instrument and minute of exchange time: the bar of its ticks, and how the feed was.
-- Filter by run_id (and session_date, token): the states are then read by key.
CREATE VIEW tick_minutes SQL SECURITY INVOKER AS
SELECT
    run_id,
    session_date,
    token,
    begins_at,
    toTimeZone(begins_at, 'Asia/Kolkata') AS begins_at_ist,
    sum(s.ticks) AS ticks,
    argMinMerge(s.open_paise) AS open_paise,
    max(s.high_paise) AS high_paise,
    min(s.low_paise) AS low_paise,
    argMaxMerge(s.close_paise) AS close_paise,
    max(s.day_volume) AS day_volume,
    if(sum(s.quoted_ticks) = 0, NULL, sum(s.spread_paise_sum) / sum(s.quoted_ticks)) AS mean_spread_paise,
    sum(s.delay_ns_sum) / sum(s.ticks) / 1e6 AS mean_delay_ms,
    max(s.delay_ns_max) / 1e6 AS max_delay_ms,
    bitCount(groupBitOr(s.seconds_seen)) AS seconds_with_ticks
FROM tick_minute_states AS s
GROUP BY run_id, session_date, token, begins_at
