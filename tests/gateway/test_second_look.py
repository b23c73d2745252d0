"""The gateway's own look at the hard limits: what it refuses the fold never asks for; exits still leave."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orders_on_paper import intent
from test_gateway_trades import ended, gateway, until, updates
from trading_floor import Floor

from broker_adapter.gateway.slicing import GATEWAY_LIMIT, refusal
from kitepilot.config import BrokerSection, RiskSection
from kitepilot.events import Alarmed, ApprovedIntent, OrderStatus, Purpose
from kitepilot.ports import Rejected
from kitepilot.risk import ladder
from kitepilot.topics import SESSION

OUTS = st.sampled_from([purpose for purpose in Purpose if purpose is not Purpose.ENTRY])
bands = st.integers(1, 10_000)


LIMITS = RiskSection().limits()


def at_market(protection_bps: int, purpose: Purpose) -> ApprovedIntent:
    order = intent(purpose=purpose)
    return msgspec.structs.replace(order, order_type="MARKET", protection_bps=protection_bps)


@given(bands, OUTS)
def test_a_market_exit_leaves_up_to_the_band_and_not_one_past_it(band: int, purpose: Purpose) -> None:
    limits = msgspec.structs.replace(LIMITS, price_band_bps=band)
    assert refusal(at_market(1, purpose), limits, BrokerSection()) is None
    assert refusal(at_market(band, purpose), limits, BrokerSection()) is None
    past = refusal(at_market(band + 1, purpose), limits, BrokerSection())
    assert past == Rejected(GATEWAY_LIMIT, f"protection {band + 1} bps above {band}")


@given(bands, OUTS, st.integers(0, 10**9), st.integers(1, 99_000))
def test_a_limit_exit_is_not_refused_for_its_price_value_or_size(
    band: int, purpose: Purpose, price: int, quantity: int
) -> None:
    limits = RiskSection(
        price_band_bps=band, exit_protection_bps=1, order_quantity=1, order_value_rupees=1
    ).limits()
    order = msgspec.structs.replace(intent(quantity, purpose=purpose), limit_price_paise=price)
    assert refusal(order, limits, BrokerSection(freeze_quantity=1_000)) is None


@given(bands, bands, st.integers(0, 100), st.sampled_from([*ladder.URGENT, "horizon"]), st.booleans())
def test_the_second_look_passes_every_rung_of_the_ladder(
    band: int, first: int, attempts: int, reason: str, must_be_flat: bool
) -> None:
    limits = msgspec.structs.replace(LIMITS, price_band_bps=band, exit_protection_bps=first)
    step = ladder.rung(limits, attempts, reason, must_be_flat=must_be_flat)
    order = msgspec.structs.replace(
        intent(purpose=Purpose.EXIT), order_type=step.order_type, protection_bps=step.protection_bps
    )
    assert refusal(order, limits, BrokerSection()) is None


def alarms(floor: Floor) -> list[tuple[str, bool]]:
    return [(e.subject, e.halts) for e in floor.read(SESSION.name) if isinstance(e, Alarmed)]


@pytest.mark.stack
async def test_an_entry_above_the_hard_limits_never_reaches_the_broker_and_halts(floor: Floor) -> None:
    limits = floor.run.config.risk.limits()
    intent = floor.intent(quantity=limits.order_quantity + 1)
    async with gateway(floor):
        floor.send(intent)
        await until(ended(floor, intent))
        await until(lambda: (GATEWAY_LIMIT, True) in alarms(floor))
    assert floor.exchange.orders_of([intent]) == []
    assert updates(floor)[-1].message.startswith("gateway_limit: quantity")


@pytest.mark.stack
async def test_an_exit_past_the_band_ends_and_halts_and_the_next_try_goes_out(floor: Floor) -> None:
    band = floor.run.config.risk.price_band_bps
    way = {"purpose": Purpose.EXIT, "order_type": "MARKET"}
    past = floor.intent(**way, protection_bps=band + 1)
    again = floor.intent(**way, protection_bps=band)
    async with gateway(floor):
        floor.send(past)
        await until(ended(floor, past))
        await until(lambda: (GATEWAY_LIMIT, True) in alarms(floor))
        floor.send(again)
        await until(ended(floor, again))
    assert floor.exchange.orders_of([past]) == []
    (refused,) = [u for u in updates(floor) if u.intent_id == past.intent_id]
    assert (refused.status, refused.filled_quantity) == (OrderStatus.REJECTED, 0)
    (row,) = floor.exchange.orders_of([again])
    assert row["filled_quantity"] == again.quantity
