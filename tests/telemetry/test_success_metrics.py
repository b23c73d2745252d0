"""What the log's stamps say of the success metrics, and that nothing of it grows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.measures import BOUNDS_S, STAGES, Histogram, Measures
from kitepilot import events as e
from kitepilot.config import RiskSection
from kitepilot.ports import LogRecord

MS = 1_000_000
AT = 1_795_150_800_000_000_000  # 2026-11-20 10:30:00 IST
RECORD = LogRecord("session", 0, 0, AT, b"", b"")
ORDER = {"order_id": "1", "token": 7, "quantity": 5, "filled_quantity": 0}


def hear(measures: Measures, event_type: Any, **fields: Any) -> None:
    if "run_id" in event_type.__struct_fields__:
        fields.setdefault("run_id", "r")
    event = event_type(**({"source": "test", "seq": 0, "event_at": AT} | fields))
    measures.hear(RECORD, e.decode(e.encode(event)))


def mark(**fields: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {
        name: [] for name in ("tokens", "last_paise", "bid_paise", "ask_paise", "quoted_at")
    }
    return columns | {"received_at": AT} | fields


def counted(measures: Measures) -> dict[str, int]:
    return {stage: sum(found.counts) for stage, found in measures.latencies.items()}


def intent(**fields: Any) -> dict[str, Any]:
    return {
        "intent_id": "A",
        "config_hash": "",
        "signal_id": "s",
        "verdict_id": "v",
        "strategy": "x",
        "purpose": e.Purpose.ENTRY,
        "token": 7,
        "tradingsymbol": "INFY",
        "side": e.Side.BUY,
        "quantity": 5,
        "order_type": "LIMIT",
        "limit_price_paise": 100,
        "validity": "IOC",
        "decision_price_paise": 100,
        "received_at": AT,
        "signal_emitted_at": AT + 20 * MS,
        "emitted_at": AT + 30 * MS,
    } | fields


def test_each_stage_is_the_difference_of_its_two_stamps() -> None:
    measures = Measures()
    hear(measures, e.Marked, **mark(emitted_at=AT + 3 * MS))
    hear(measures, e.ApprovedIntent, **intent())
    hear(
        measures,
        e.OrderJournaled,
        intent_id="A",
        tradingsymbol="INFY",
        side=e.Side.BUY,
        purpose=e.Purpose.ENTRY,
        strategy="x",
        kind="accepted",
        status=e.OrderStatus.ACCEPTED,
        price_paise=1,
        latency_ns=40 * MS,
        **ORDER,
    )
    assert {stage: found.sum_s for stage, found in measures.latencies.items()} == pytest.approx(
        {
            "bar_delay": 0.003,
            "tick_to_signal": 0.0,
            "signal_to_enqueued": 0.010,
            "tick_to_enqueued": 0.030,
            "order_ack": 0.040,
        }
    )


def test_an_exit_of_the_desks_own_has_no_tick_and_no_signal_behind_it() -> None:
    measures = Measures()
    hear(measures, e.ApprovedIntent, **intent(received_at=0, signal_emitted_at=0))
    assert set(counted(measures).values()) == {0}


def test_an_order_in_doubt_is_counted_until_its_outcome_is_known() -> None:
    measures = Measures()
    for status, standing in (("unknown", 1), ("unknown", 1), ("filled", 0), ("filled", 0)):
        found = e.OrderStatus(status)
        hear(measures, e.OrderUpdated, intent_id="A", status=found, venue_status="", **ORDER)
        assert len(measures.unknown) == standing


def test_use_of_a_limit_is_measured_against_the_profile_the_account_is_under() -> None:
    measures, first = Measures(), RiskSection().profile()
    second = e.RiskProfile(
        version=2, limits=RiskSection(daily_loss_rupees=50_000).limits(), sizing=first.sizing
    )
    parameters = e.DecisionParameters(
        session_date="2026-11-20", open_at=0, close_at=1, instruments=(), profile=first, strategies=()
    )
    hear(measures, e.RunStarted, mode="paper", config_hash="", parameters=parameters)
    hear(measures, e.ProfileActivated, command_id="1", profile=second, by="owner", reason="")
    names = ("realised_paise", "unrealised_paise", "charges_paise", "open_positions", "gross_exposure_paise")
    names += ("working_orders", "oldest_working_at", "orders", "fills")
    account = dict.fromkeys(names, 0) | {"state": e.TradingState.ACTIVE, "worst_case_paise": 1_250_000}
    for version, use in ((1, 0.5), (2, 0.25)):
        hear(measures, e.AccountMarked, profile_version=version, **account)
        assert measures.limit_use()["daily_loss"] == use


def test_a_newest_quote_of_long_ago_is_that_old() -> None:
    measures = Measures()
    columns = {name: [1, 1] for name in ("tokens", "last_paise", "bid_paise", "ask_paise")}
    hear(measures, e.Marked, **mark(quoted_at=[AT - 9_000 * MS, AT - 4_000 * MS], **columns))
    assert measures.quote_age_s == 4.0


@given(st.lists(st.integers(-(10**9), 10**11), max_size=200))
def test_a_histogram_counts_every_sample_once_below_its_bound(samples: list[int]) -> None:
    histogram = Histogram()
    for ns in samples:
        histogram.add(ns)
    for (text, count), bound in zip(histogram.cumulative(), (*BOUNDS_S, float("inf")), strict=True):
        assert count == sum(max(ns, 0) / 1e9 <= bound for ns in samples), text
    assert len(histogram.counts) == len(BOUNDS_S) + 1


def test_every_stage_says_what_lies_between_its_stamps() -> None:
    assert counted(Measures()).keys() == STAGES.keys()
