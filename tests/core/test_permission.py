"""Which messages on the intents topic are orders of this run."""

from __future__ import annotations

import msgspec
import pytest

from kitepilot import events as e
from kitepilot.orders.permission import permitted

INTENT = e.ApprovedIntent(
    source="intents", seq=0, event_at=1, intent_id="ABCDEFGHIJKLMNOPQR", run_id="run", config_hash="hash",
    signal_id="s", verdict_id="v", strategy="s", purpose=e.Purpose.ENTRY, token=257, tradingsymbol="ALPHA",
    side=e.Side.BUY, quantity=1, order_type="LIMIT", limit_price_paise=100, validity="IOC",
    decision_price_paise=100, received_at=0, signal_emitted_at=0,
)  # fmt: skip


def test_an_intent_of_this_run_and_configuration_is_permitted() -> None:
    assert permitted(e.encode(INTENT), "run", "hash") == INTENT


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"run_id": "other"}, "run 'other'"),
        ({"config_hash": "other"}, "configuration 'other'"),
        ({"quantity": 0}, "quantity 0"),
        ({"intent_id": "no tag!"}, "no tag!"),
        ({"order_type": "MARKET", "protection_bps": 20}, "an entry at the market"),
        ({"order_type": "MARKET", "purpose": e.Purpose.EXIT}, "protection 0 bps"),
        ({"order_type": "MARKET", "purpose": e.Purpose.EXIT, "protection_bps": 10_001}, "10001 bps"),
        ({"order_type": "SL-M", "purpose": e.Purpose.EXIT}, "SL-M"),
        ({"protection_bps": 20}, "a limit with protection"),
    ],
)
def test_an_intent_of_somebody_else_is_not(change: dict[str, object], why: str) -> None:
    raw = e.encode(msgspec.structs.replace(INTENT, **change))
    with pytest.raises(e.UndecodableError, match=why):
        permitted(raw, "run", "hash")


@pytest.mark.parametrize(
    "raw", [b"", b"\xc1", b"\x80", e.encode(e.FeedChanged(source="m", seq=0, event_at=1, state="up"))]
)
def test_what_is_no_intent_is_not(raw: bytes) -> None:
    with pytest.raises(e.UndecodableError):
        permitted(raw, "run", "hash")
