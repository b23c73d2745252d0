"""The day in memory says what the log said, in whatever order its topics are read, and stays bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import cursors
from api.cursors import paged
from api.day_book import ORDERS_KEPT, DayBook, Numbered
from api.day_rows import order_row, position_rows, signal_row, stop_price_paise
from api.live.board import Board
from api.problems import Problem
from kitepilot import events as e
from kitepilot.config import RiskSection
from kitepilot.orders.positions import FLAT, apply_fill
from kitepilot.ports import LogRecord

AT = 1_795_150_800_000_000_000
HOUR = 3600 * 10**9
RUN = "paper-20261120-0001"


def signal(number: int = 0) -> e.SignalRaised:
    return e.SignalRaised(
        source="market-0", seq=number, event_at=AT, signal_id=f"S{number}", strategy="vwap_reversion",
        token=1, tradingsymbol="INFY", side=e.Side.BUY, strength=0.5, interval_s=60,
        bar_close_at=AT, horizon_s=600,
        stop_bps=40, take_profit_bps=0, last_paise=100_000, bid_paise=99_995, ask_paise=100_005, features={},
        scores={"m": float("nan")}, received_at=1,
    )  # fmt: skip


def verdict(number: int = 0, denial: str = "") -> e.Verdict:
    return e.Verdict(
        source="decisions", seq=number, event_at=AT, verdict_id=f"V{number}", run_id=RUN,
        signal_id=f"S{number}", strategy="vwap_reversion", token=1, tradingsymbol="INFY",
        purpose=e.Purpose.ENTRY, side=e.Side.BUY, quantity=10, limit_price_paise=100_100,
        approved=not denial, denial=denial, intent_id="" if denial else f"I{number}",
        state=e.TradingState.ACTIVE, checks=(),
    )  # fmt: skip


def intent(number: int = 0, purpose: e.Purpose = e.Purpose.ENTRY) -> e.ApprovedIntent:
    return e.ApprovedIntent(
        source="decisions.intents", seq=number, event_at=AT, intent_id=f"I{number}", run_id=RUN,
        config_hash="c", signal_id=f"S{number}", verdict_id=f"V{number}", strategy="vwap_reversion",
        purpose=purpose, token=1, tradingsymbol="INFY", side=e.Side.BUY, quantity=10, order_type="LIMIT",
        limit_price_paise=100_100, validity="IOC", decision_price_paise=100_000, received_at=1,
        signal_emitted_at=1,
    )  # fmt: skip


def update(number: int = 0, status: e.OrderStatus = e.OrderStatus.FILLED) -> e.OrderUpdated:
    return e.OrderUpdated(
        source="gateway", seq=number, event_at=AT + 1, run_id=RUN, intent_id=f"I{number}",
        order_id=f"O{number}", token=1, status=status, venue_status="COMPLETE", quantity=10,
        filled_quantity=10,
    )  # fmt: skip


def fill(number: int = 0, side: e.Side = e.Side.BUY, quantity: int = 10, price: int = 100_000) -> e.Filled:
    return e.Filled(
        source="gateway", seq=number, event_at=AT + 2, run_id=RUN, intent_id="I0", order_id="O0",
        trade_id=f"T{number}", token=1, side=side, quantity=quantity, price_paise=price, filled_at=AT + 2,
    )  # fmt: skip


def mark(last_paise: int) -> e.Marked:
    return e.Marked(
        source="market-0", seq=99, event_at=AT, received_at=1, tokens=[1], last_paise=[last_paise],
        bid_paise=[0], ask_paise=[0], quoted_at=[AT],
    )  # fmt: skip


def started() -> e.RunStarted:
    terms = e.InstrumentTerms(
        token=1, tradingsymbol="INFY", tick_size_paise=5, lot_size=1, closing_auction=True,
        entry_cutoff_at=AT + HOUR, square_off_at=AT + 2 * HOUR, force_flat_at=AT + 3 * HOUR,
        continuous_close_at=AT + 4 * HOUR,
    )  # fmt: skip
    parameters = e.DecisionParameters(
        session_date="2026-11-20", open_at=AT - HOUR, close_at=AT + 4 * HOUR, instruments=(terms,),
        profile=RiskSection().profile(), strategies=("vwap_reversion",),
    )  # fmt: skip
    return e.RunStarted(
        source="runner",
        seq=0,
        event_at=AT - HOUR,
        run_id=RUN,
        mode="paper",
        config_hash="c",
        parameters=parameters,
    )


def folded(*events: e.AnyEvent) -> DayBook:
    """Board first, then the day, as the view tells them; settled once at the end."""
    board = Board()
    day = DayBook(board)
    for event in events:
        record = LogRecord("session", 0, 0, 0, b"", b"")
        board.hear(event)
        day.hear(record, event)
    day.settle()
    return day


@given(st.permutations([signal(), verdict(), intent(), update()]))
def test_in_whatever_order_topics_are_read_an_order_is_the_same(events: list[e.AnyEvent]) -> None:
    day = folded(started(), *events)
    found = day.intent_of("O0")
    assert found is not None
    row = order_row(day, found)
    assert (row.status, row.filled_quantity, row.order_id) == ("filled", 10, "O0")
    assert signal_row(day, signal(), RUN).verdict == "approved"


def test_what_is_held_is_what_the_decisions_fold_holds() -> None:
    day = folded(started(), fill(), fill(), mark(101_000))
    (position,) = position_rows(day)
    assert (position.quantity, position.cost_paise, position.unrealised_paise) == (10, 1_000_000, 10_000)
    assert position.square_off.ist == "2026-11-20T12:30:00+05:30"
    assert {each.name for each in day.limits} >= {"daily_loss", "gross_exposure", "open_positions"}


def test_before_the_runs_first_word_there_is_nothing_and_nothing_breaks() -> None:
    assert position_rows(folded()) == [] and folded().limits == ()


def test_a_score_that_warms_up_is_null_and_not_a_number_json_has_not() -> None:
    assert signal_row(folded(started(), signal()), signal(), RUN).scores == {"m": None}


def test_a_denied_wish_says_why() -> None:
    row = signal_row(folded(started(), signal(), verdict(denial="spread")), signal(), RUN)
    assert (row.verdict, row.denial, row.intent_id) == ("denied", "spread", "")


@given(
    st.sampled_from([e.Side.BUY, e.Side.SELL]),
    st.integers(1, 500),
    st.integers(1_000, 500_000),
    st.integers(1, 500),
)
def test_the_stop_shown_is_the_first_price_at_which_the_exits_rule_acts(
    side: e.Side, quantity: int, price: int, stop_bps: int
) -> None:
    held = apply_fill(FLAT, side, quantity, price)
    shown = stop_price_paise(held, stop_bps)
    assert shown is not None

    def acts(at: int) -> bool:
        return held.unrealised_paise(at) * 10_000 <= -stop_bps * held.cost_paise

    assert acts(shown) and not acts(shown + side.sign)


def test_what_is_kept_of_a_day_is_bounded() -> None:
    day = folded(started(), *(intent(number) for number in range(ORDERS_KEPT + 5)))
    assert len(day.intents) == ORDERS_KEPT
    assert day.intent_of("I0") is None and day.intent_of(f"I{ORDERS_KEPT + 4}") is not None


@given(st.integers(1, 7), st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_pages_give_every_row_once_while_rows_come_in(limit: int, arrivals: list[int]) -> None:
    rows: Numbered[str] = Numbered(1_000)
    for number in range(20):
        rows.put(f"old{number}", f"old{number}")
    seen: list[str] = []
    cursor: str | None = None
    for turn in range(40):
        page, cursor = paged("list", rows.newest(cursors.before("list", cursor)), limit)
        seen += page
        if cursor is None:
            break
        for each in range(arrivals[turn % len(arrivals)]):
            rows.put(f"new{turn}-{each}", "new")
    assert seen == [f"old{number}" for number in reversed(range(20))]


@pytest.mark.parametrize(
    "cursor", ["", "x", "é", "WyJvdGhlciIsMV0", "WyJsaXN0IiwiYSJd", "WyJsaXN0Il0", "bnVsbA"]
)
def test_a_cursor_that_is_not_of_this_list_is_refused(cursor: str) -> None:
    with pytest.raises(Problem) as told:
        cursors.before("list", cursor)
    assert told.value.code == "bad_cursor"


@given(st.text(max_size=60))
def test_no_text_as_a_cursor_is_anything_but_a_cursor_or_refused(text: str) -> None:
    try:
        cursors.before("list", text)
    except Problem as told:
        assert told.code == "bad_cursor"
