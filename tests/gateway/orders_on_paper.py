"""An order that exists on paper only, for tests of what is known and told about orders."""

from __future__ import annotations

from broker_adapter.gateway.desk import Change
from kitepilot.events import ApprovedIntent, Filled, OrderUpdated, Purpose, Side

ID = "ABCDEFGHIJKLMNOP27"
NOW = 1_795_146_300_000_000_000


def intent(
    quantity: int = 10, token: int = 408065, name: str = ID, purpose: Purpose = Purpose.ENTRY
) -> ApprovedIntent:
    return ApprovedIntent(
        source="decisions", seq=0, event_at=NOW, intent_id=name, run_id="r", config_hash="c", signal_id="s",
        verdict_id="v", strategy="vwap_reversion", purpose=purpose, token=token, tradingsymbol="INFY",
        side=Side.BUY, quantity=quantity, order_type="LIMIT", limit_price_paise=100_00, validity="IOC",
        decision_price_paise=100_00, received_at=0, signal_emitted_at=0,
    )  # fmt: skip


def told(changes: list[Change]) -> list[OrderUpdated | Filled]:
    return [line.told for change in changes for line in change.lines if line.told is not None]
