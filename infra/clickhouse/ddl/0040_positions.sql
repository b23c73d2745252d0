-- One row per intraday trade of the account, ours or foreign: the instrument's position after it.
-- net_quantity is signed (short is negative); bought and sold are paise of the run so far, before charges.
CREATE VIEW positions SQL SECURITY INVOKER AS
WITH
    traded AS
    (
        SELECT run_id, session_date, token, intent_id, order_id, trade_id, side, quantity, price_paise, false AS is_foreign,
            filled_at, event_at, log_topic, log_partition, log_offset
        FROM fills
        UNION ALL
        SELECT run_id, session_date, token, '' AS intent_id, order_id, trade_id, side, quantity, price_paise, true AS is_foreign,
            filled_at, event_at, log_topic, log_partition, log_offset
        FROM foreign_fills
    )
SELECT
    run_id,
    session_date,
    token,
    intent_id,
    order_id,
    trade_id,
    is_foreign,
    side,
    quantity,
    price_paise,
    sum(if(side = 'BUY', quantity, -quantity)) OVER so_far AS net_quantity,
    sum(if(side = 'BUY', quantity * price_paise, 0)) OVER so_far AS bought_paise,
    sum(if(side = 'SELL', quantity * price_paise, 0)) OVER so_far AS sold_paise,
    filled_at,
    toTimeZone(filled_at, 'Asia/Kolkata') AS filled_at_ist,
    event_at,
    toTimeZone(event_at, 'Asia/Kolkata') AS event_at_ist,
    log_topic,
    log_partition,
    log_offset
FROM traded
WINDOW so_far AS (PARTITION BY run_id, session_date, token ORDER BY log_offset ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
