-- Each insert into `ticks` adds its part to the minutes. A repeated insert is dropped in both alike: the sink's
-- token goes along (deduplicate_blocks_in_dependent_materialized_views), and the target remembers tokens too.
CREATE MATERIALIZED VIEW tick_minutes_of_ticks TO tick_minute_states AS
SELECT
    run_id,
    session_date,
    token,
    toDateTime64(toStartOfMinute(exchange_at), 3, 'UTC') AS begins_at,
    count() AS ticks,
    argMinState(last_paise, (log_offset, row)) AS open_paise,
    max(last_paise) AS high_paise,
    min(last_paise) AS low_paise,
    argMaxState(last_paise, (log_offset, row)) AS close_paise,
    max(volume) AS day_volume,
    sumIf(ask_paise[1] - bid_paise[1], bid_paise[1] > 0 AND ask_paise[1] >= bid_paise[1]) AS spread_paise_sum,
    countIf(bid_paise[1] > 0 AND ask_paise[1] >= bid_paise[1]) AS quoted_ticks,
    sum(toUnixTimestamp64Nano(received_at) - toUnixTimestamp64Milli(exchange_at) * 1000000) AS delay_ns_sum,
    max(toUnixTimestamp64Nano(received_at) - toUnixTimestamp64Milli(exchange_at) * 1000000) AS delay_ns_max,
    groupBitOr(bitShiftLeft(toUInt64(1), toSecond(exchange_at))) AS seconds_seen,
    max(archived_at) AS archived_at
FROM ticks
GROUP BY run_id, session_date, token, begins_at
