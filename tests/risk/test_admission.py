"""What the fold refuses to read, and what of other runs it overlooks."""

from __future__ import annotations

import msgspec
import pytest
from desk import ALPHA, OPEN, RUN, Desk, parameters

from kitepilot.events import (
    AnyEvent,
    Filled,
    Marked,
    OrderStatus,
    OrderUpdated,
    RunStarted,
    SignalRaised,
    encode,
)
from kitepilot.risk.admission import UnusableError, admit, admitted
from kitepilot.risk.decide import decide
from kitepilot.risk.refold import fold_all
from kitepilot.risk.state import load, save


def said(desk: Desk, kind: type) -> AnyEvent:
    return next(event for event in reversed(desk.said) if isinstance(event, kind))


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.mark(alpha=100_000)
    desk.enter(ALPHA)
    return desk


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        (Marked, {"bid_paise": []}, "columns of 1, 1, 0, 1, 1 rows"),
        (Marked, {"last_paise": [-1]}, "negative price"),
        (Filled, {"quantity": 0}, "a fill of 0"),
        (Filled, {"price_paise": -5}, "at -5 paise"),
        (SignalRaised, {"horizon_s": -1}, "negative horizon"),
        (
            RunStarted,
            {"parameters": msgspec.structs.replace(parameters(), session_date="2016-01-04")},
            "2016-01-04",
        ),
        (RunStarted, {"parameters": msgspec.structs.replace(parameters(), session_date="soon")}, "soon"),
    ],
)
def test_numbers_that_cannot_be_are_refused_with_the_reason(
    desk: Desk, kind: type, changes: dict[str, object], why: str
) -> None:
    event = msgspec.structs.replace(said(desk, kind), **changes)
    with pytest.raises(UnusableError, match=why) as caught:
        admit(encode(event))
    assert caught.value.reason == "malformed"
    assert list(admitted([encode(event), b"junk", encode(desk.said[0])])) == [desk.said[0]]


def test_another_runs_orders_are_not_ours(desk: Desk) -> None:
    before = save(desk.desk)
    for kind in (Filled, OrderUpdated, RunStarted):
        foreign = msgspec.structs.replace(said(desk, kind), run_id="paper-other", seq=10**6)
        assert desk.say(foreign) == []  # type: ignore[arg-type]
    assert save(desk.desk) == before


def test_nothing_is_decided_before_the_run_starts() -> None:
    mark = Marked(
        source="market-0",
        seq=0,
        event_at=OPEN,
        received_at=0,
        tokens=[],
        last_paise=[],
        bid_paise=[],
        ask_paise=[],
        quoted_at=[],
    )
    assert decide(None, mark) == (None, [])
    assert fold_all([mark]) == (None, [])


def test_the_same_trade_under_another_number_counts_once(desk: Desk) -> None:
    fill = said(desk, Filled)
    again = msgspec.structs.replace(fill, seq=99)
    desk.say(again)  # type: ignore[arg-type]
    assert desk.desk.fills == 1 and desk.desk.gaps == 97


def test_an_update_of_an_order_nobody_remembers_changes_nothing(desk: Desk) -> None:
    update = OrderUpdated(
        **desk.head("gateway"),
        run_id=RUN,
        intent_id="?",
        order_id="",
        token=ALPHA,
        status=OrderStatus.FILLED,
        venue_status="",
        quantity=1,
        filled_quantity=1,
    )
    assert desk.say(update) == [] and desk.desk.holdings[ALPHA].attempts == 0


def test_an_index_among_the_instruments_cannot_be_traded() -> None:
    index = msgspec.structs.replace(parameters().instruments[0], token=265, tick_size_paise=0)
    given = parameters()
    desk = Desk(msgspec.structs.replace(given, instruments=(*given.instruments, index)))
    desk.mark(alpha=100_000)
    desk.quote(265, 100, 99, 101)
    (verdict,) = desk.signal(token=265)
    assert verdict.denial == "unknown_instrument"  # type: ignore[union-attr]


@pytest.mark.parametrize("blob", [b"", b"\x7fother"])
def test_a_blob_of_another_version_is_refused(blob: bytes) -> None:
    with pytest.raises(ValueError, match="finish the run"):
        load(blob)


def test_no_state_saves_and_loads_too() -> None:
    assert load(save(None)) is None
