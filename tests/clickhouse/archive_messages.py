"""One of every message, and tick records, for the archive's tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from kitepilot import events as e
from kitepilot.config import RiskSection
from kitepilot.market.ticks import KIND_CLOCK, RECORD_DTYPE, own_record

OPEN_AT = 1_795_146_300_000_000_000  # 2026-11-20 09:15 IST
SECOND = 1_000_000_000

PARAMETERS = e.DecisionParameters(
    session_date="2026-11-20",
    open_at=OPEN_AT,
    close_at=OPEN_AT + SECOND,
    instruments=(),
    profile=RiskSection().profile(),
    strategies=(),
)
WHO: dict[str, Any] = {"run_id": "r", "intent_id": "I" * 18, "token": 408065}


def intent_name(number: int) -> str:
    """18 base32 characters, a different one for each number."""
    return "I" + f"{number:017d}".translate(str.maketrans("0123456789", "ABCDEFGHIJ"))


def samples(seq: int) -> dict[str, list[e.AnyEvent]]:
    """Topic -> one of every event that travels there, numbered from `seq`."""

    def at(source: str, number: int) -> dict[str, Any]:
        return {"source": source, "seq": number, "event_at": OPEN_AT + number * SECOND, "emitted_at": 7}

    check = e.Check(code="gross_exposure", passed=True, observed=1.0, limit=2.0)
    session: list[e.AnyEvent] = [
        e.RunStarted(**at("cli", seq), run_id="r", mode="paper", config_hash="c", parameters=PARAMETERS),
        e.Marked(
            **at("market", 2 * seq),
            received_at=5,
            tokens=[408065, 738561],
            last_paise=[150_005, 250_010],
            bid_paise=[150_000, 250_000],
            ask_paise=[150_010, 250_020],
            quoted_at=[OPEN_AT, OPEN_AT + 1],
        ),
        e.SignalRaised(
            **at("market", 2 * seq + 1),
            signal_id=f"s{seq}",
            strategy="vwap_reversion",
            token=408065,
            tradingsymbol="INFY",
            side=None,
            strength=0.5,
            interval_s=60,
            bar_close_at=OPEN_AT,
            horizon_s=300,
            stop_bps=30,
            take_profit_bps=40,
            last_paise=150_005,
            bid_paise=150_000,
            ask_paise=150_010,
            features={"vwap_gap": 0.25},
            scores={"lightgbm": 0.75},
            received_at=11,
            rests_on=("lightgbm",),
        ),
        e.OrderUpdated(
            **at("gateway", 2 * seq),
            **WHO,
            order_id=f"o{seq}",
            status=e.OrderStatus.FILLED,
            venue_status="COMPLETE",
            quantity=10,
            filled_quantity=10,
        ),
        e.Filled(
            **at("gateway", 2 * seq + 1),
            **WHO,
            order_id=f"o{seq}",
            trade_id=f"t{seq}",
            side=e.Side.BUY if seq % 2 == 0 else e.Side.SELL,
            quantity=10,
            price_paise=150_005,
            filled_at=OPEN_AT + 123_456_789,
        ),
        e.ForeignOrderUpdated(
            **at("gateway.findings", 4 * seq),
            run_id="r",
            order_id=f"f{seq}",
            token=408065,
            tradingsymbol="INFY",
            side=e.Side.SELL,
            product="MIS",
            quantity=5,
            filled_quantity=5,
            status=e.OrderStatus.FILLED,
            venue_status="COMPLETE",
            placed_by="AB1234",
            by_broker=False,
        ),
        e.ForeignFilled(
            **at("gateway.findings", 4 * seq + 1),
            run_id="r",
            order_id=f"f{seq}",
            trade_id=f"t{seq}",
            token=408065,
            tradingsymbol="INFY",
            side=e.Side.SELL,
            quantity=5,
            price_paise=150_005,
            filled_at=OPEN_AT + 123_456_789,
            placed_by="AB1234",
            by_broker=False,
        ),
        e.Alarmed(
            **at("gateway.findings", 4 * seq + 2),
            run_id="r",
            kind="foreign_order",
            subject=f"f{seq}",
            detail="SELL 5 INFY",
            halts=False,
        ),
        e.Reconciled(
            **at("gateway.findings", 4 * seq + 3),
            run_id="r",
            occasion="minute",
            orders=1,
            trades=1,
            positions=1,
            differences=(e.Difference(rule="fill_missing_here", subject="f", ours="0", theirs="5"),),
            verdict="healed",
        ),
        e.Commanded(**at("owner", seq), command_id="c1", command="halt", by="me"),
        e.FeedChanged(**at("ingest", seq), state="down", detail="silence"),
        e.ProfileActivated(
            **at("owner.profiles", seq),
            command_id="p1",
            profile=PARAMETERS.profile,
            by="me",
            reason="a quiet week",
        ),
        e.FundsMarked(**at("gateway.facts", 3 * seq), run_id="r", available_paise=5_000, used_paise=7),
        e.BandsMarked(
            **at("gateway.facts", 3 * seq + 1),
            run_id="r",
            tokens=[408065],
            lower_paise=[135_000],
            upper_paise=[165_000],
        ),
        e.ClockMeasured(**at("gateway.facts", 3 * seq + 2), run_id="r", skew_ms=-3, against="broker"),
        e.ModelJudged(**at("market.models", 2 * seq), model="lightgbm", state="fresh"),
        e.DriftFound(
            **at("market.models", 2 * seq + 1),
            model="lightgbm",
            detector="psi",
            observed=1.5,
            limit=0.25,
            act="tell",
            feature="spread",
        ),
    ]
    decisions: list[e.AnyEvent] = [
        e.Verdict(
            **at("decisions", 3 * seq),
            **WHO,
            verdict_id=f"v{seq}",
            signal_id=f"s{seq}",
            strategy="vwap_reversion",
            tradingsymbol="INFY",
            purpose=e.Purpose.ENTRY,
            side=e.Side.BUY,
            quantity=10,
            limit_price_paise=150_080,
            approved=True,
            denial="",
            state=e.TradingState.ACTIVE,
            checks=(check, check),
        ),
        e.StateChanged(
            **at("decisions", 3 * seq + 1),
            run_id="r",
            previous=e.TradingState.ACTIVE,
            state=e.TradingState.HALTED,
            reason="owner",
        ),
        e.AccountMarked(
            **at("decisions", 3 * seq + 2),
            run_id="r",
            state=e.TradingState.ACTIVE,
            realised_paise=-5,
            unrealised_paise=7,
            charges_paise=3,
            open_positions=1,
            gross_exposure_paise=1_500_000,
            working_orders=0,
            oldest_working_at=0,
            orders=1,
            fills=1,
        ),
    ]
    bars = e.BarsClosed(
        **at("market", seq),
        interval_s=60,
        close_at=OPEN_AT,
        tokens=[408065, 738561],
        open_paise=[1, 2],
        high_paise=[3, 4],
        low_paise=[1, 1],
        close_paise=[2, 3],
        volume=[100, 200],
        tick_count=[5, 6],
    )
    features = e.FeaturesComputed(
        **at("market", seq),
        interval_s=60,
        close_at=OPEN_AT,
        names=["gap", "spread", "imbalance"],
        tokens=[408065, 738561],
        values=np.arange(6, dtype="<f8").tobytes(),
        scores={"lightgbm": [0.5, float("nan")]},
        weights={"lightgbm": 0.75},
    )
    intent = e.ApprovedIntent(
        **at("decisions", seq),
        **WHO | {"intent_id": intent_name(seq)},
        config_hash="c",
        signal_id=f"s{seq}",
        verdict_id=f"v{seq}",
        strategy="vwap_reversion",
        purpose=e.Purpose.ENTRY,
        tradingsymbol="INFY",
        side=e.Side.BUY,
        quantity=10,
        order_type="LIMIT",
        limit_price_paise=150_080,
        validity="IOC",
        decision_price_paise=150_010,
        received_at=11,
        signal_emitted_at=12,
    )
    order = e.OrderJournaled(
        **at("gateway", seq),
        **WHO | {"intent_id": intent_name(seq)},
        order_id=f"o{seq}",
        tradingsymbol="INFY",
        side=e.Side.BUY,
        purpose=e.Purpose.ENTRY,
        strategy="vwap_reversion",
        kind="accepted",
        status=e.OrderStatus.ACCEPTED,
        quantity=10,
        filled_quantity=0,
        price_paise=150_080,
        latency_ns=1_000,
        slice=1,
        submitted_at=2_000,
        submitted_event_at=3_000,
    )
    postback = e.PostbackReceived(
        **at("api", seq), order_id=f"o{seq}", status="COMPLETE", body='{"order_id": "o"}', received_at=13
    )
    letter = e.DeadLetter(
        **at("ingest", seq),
        reason="unknown_token",
        topic="ticks",
        partition=0,
        offset=17,
        count=2,
        detail="token 1",
        payload=b"\x00\xff",
    )
    return {
        "session": session,
        "decisions": decisions,
        "bars": [bars],
        "features": [features],
        "intents": [intent],
        "orders": [order],
        "postbacks": [postback],
        "dead-letter": [letter],
    }


def tick_message(first: int, packets: int, *, clock: bool = False) -> bytes:
    """`packets` distinct full packets of two instruments, numbered from `first`, and perhaps a clock."""
    array = np.zeros(packets, dtype=RECORD_DTYPE)
    number = np.arange(first, first + packets)
    array["received_at"] = OPEN_AT + number
    packet = array["packet"]
    packet["token"] = np.where(number % 2, 408065, 738561)
    packet["last_price"] = 150_000 + number % 100
    packet["volume"] = number
    packet["exchange_time"] = OPEN_AT // SECOND + number // 100
    for level in range(5):
        packet["bids"]["price"][:, level] = 150_000 - 5 * level
        packet["bids"]["quantity"][:, level] = 10 + level
        packet["bids"]["orders"][:, level] = 1 + level
        packet["asks"]["price"][:, level] = 150_005 + 5 * level
    tail = own_record(KIND_CLOCK, OPEN_AT + first, OPEN_AT + first) if clock else b""
    return array.tobytes() + tail
