-- Ticks archived before the states existed. Empty states: a repetition after a crash adds nothing twice.
INSERT INTO tick_minute_states
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
WHERE (SELECT count() FROM tick_minute_states) = 0
GROUP BY run_id, session_date, token, begins_at
SETTINGS max_bytes_before_external_group_by = 500000000, min_insert_block_size_rows = 10000000, min_insert_block_size_bytes = 0, max_threads = 1
