"""What the rows look like in the reference."""

from __future__ import annotations

from typing import Any

RUN = "paper-20261120-0001"
AT = {"utc": "2026-11-20T05:00:00.000+00:00", "ist": "2026-11-20T10:30:00+05:30"}
LATER = {"utc": "2026-11-20T09:50:00.000+00:00", "ist": "2026-11-20T15:20:00+05:30"}
INSTRUMENT: dict[str, Any] = {"token": 408065, "tradingsymbol": "INFY"}
ORDER: dict[str, Any] = {
    "intent_id": "B4K7Q2M5X3ZT6N2YHA", "order_id": "1261120417100000007", "run_id": RUN,
    "signal_id": "S7D2KQ4M5X3ZT6N2YH", "strategy": "vwap_reversion", "purpose": "entry", **INSTRUMENT,
    "side": "BUY", "quantity": 40, "filled_quantity": 40, "limit_price_paise": 150_250, "status": "filled",
    "venue_status": "COMPLETE", "message": "", "decided": AT, "updated": AT,
}  # fmt: skip
INTENT: dict[str, Any] = {
    "intent_id": "B4K7Q2M5X3ZT6N2YHA", "run_id": RUN, "signal_id": "S7D2KQ4M5X3ZT6N2YH",
    "verdict_id": "V3D2KQ4M5X3ZT6N2YH", "strategy": "vwap_reversion", "purpose": "entry", **INSTRUMENT,
    "side": "BUY", "quantity": 40, "order_type": "LIMIT", "validity": "IOC", "limit_price_paise": 150_250,
    "decision_price_paise": 150_200, "attempt": 0, "decided": AT,
}  # fmt: skip
FILL: dict[str, Any] = {
    "run_id": RUN, "intent_id": "B4K7Q2M5X3ZT6N2YHA", "order_id": "1261120417100000007", "trade_id": "75894",
    **INSTRUMENT, "side": "BUY", "quantity": 40, "price_paise": 150_215, "traded": AT,
}  # fmt: skip
SIGNAL: dict[str, Any] = {
    "signal_id": "S7D2KQ4M5X3ZT6N2YH", "run_id": RUN, "strategy": "vwap_reversion", **INSTRUMENT,
    "side": "BUY", "strength": 0.7, "interval_s": 60, "horizon_s": 900, "stop_bps": 40,
    "take_profit_bps": 60, "last_paise": 150_200, "scores": {"lightgbm": 0.61}, "verdict": "approved",
    "denial": "", "intent_id": "B4K7Q2M5X3ZT6N2YHA", "raised": AT,
}  # fmt: skip
POSITION: dict[str, Any] = {
    **INSTRUMENT, "quantity": 40, "cost_paise": 6_008_600, "last_paise": 150_400, "unrealised_paise": 7_400,
    "realised_paise": 0, "exposure_paise": 6_016_000, "bought_quantity": 40, "bought_paise": 6_008_600,
    "sold_quantity": 0, "sold_paise": 0, "strategy": "vwap_reversion", "stop_price_paise": 149_614,
    "foreign_quantity": 0, "leaves": AT, "square_off": LATER,
}  # fmt: skip
QUOTE: dict[str, Any] = {
    **INSTRUMENT, "last_paise": 150_400, "bid_paise": 150_395, "ask_paise": 150_400, "quoted": AT,
}  # fmt: skip
LISTED: dict[str, Any] = {
    **INSTRUMENT, "tick_size_paise": 5, "lot_size": 1, "sector": "IT", "average_volume": 6_000_000,
    "margin_bps": 2_000, "segment": "NSE", "entry_cutoff": LATER, "square_off": LATER, "force_flat": LATER,
}  # fmt: skip


def page(row: dict[str, Any], cursor: str | None = "WyJvcmRlcnMiLDQyXQ") -> dict[str, Any]:
    """A list with one row, and more behind it."""
    return {"items": [row], "next": cursor}
