"""Replies, order frames, postbacks and polling tell of one order: lost, doubled, late, in any order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from orders_on_paper import ID, NOW, intent, told

from broker_adapter.gateway.desk import Change, Desk
from kitepilot.events import Filled, OrderStatus, OrderUpdated, Side
from kitepilot.ports import Accepted, OrderReport, Outcome, TradeReport, Unknown

QUANTITY = 10
INTERIM = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "A WORD OF NEXT YEAR"]
Life = tuple[list[tuple[str, int]], list[TradeReport]]


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """The states an order really goes through, as (word, cumulative filled), and its trades."""
    cuts = sorted(draw(st.sets(st.integers(1, QUANTITY), max_size=4)))
    states = [(word, 0) for word in INTERIM[: draw(st.integers(0, 4))]] + [("OPEN", 0)]
    states += [("UPDATE", filled) for filled in cuts]
    filled = cuts[-1] if cuts else 0
    ends = ["OPEN", "CANCELLED"] + (["COMPLETE"] if filled == QUANTITY else [])
    states.append((draw(st.sampled_from(ends)), filled))
    sizes = [after - before for before, after in zip([0, *cuts], cuts, strict=False)]
    trades = [
        TradeReport("7", f"t{n}", "INFY", 408065, Side.BUY, size, 10_000 + n, NOW + n)
        for n, size in enumerate(sizes)
    ]
    return states, trades


def report(state: tuple[str, int]) -> OrderReport:
    word, filled = state
    return OrderReport(
        "7", f"{ID}00", "INFY", 408065, Side.BUY, QUANTITY, filled, 0, OrderStatus.WORKING, word, "", NOW
    )


def end_of(life: Life, news: list[tuple[str, int]], reply: Outcome | None, reads: list[int]) -> list[Change]:
    """What is told when `news` arrives in this order, then one poll of book and trades."""
    states, trades = life
    desk = Desk("r")
    (opened,) = desk.open(intent(QUANTITY), (QUANTITY,), NOW)
    file, changes = opened.file, []
    if reply is not None:
        changes.append(desk.settle(file, reply, NOW, NOW, NOW, steady=NOW))
    for number, state in enumerate([*news, states[-1]]):
        before = file.seen.filled_quantity
        heard = desk.hear(report(state), NOW)
        assert heard is not None and file.seen.filled_quantity >= before, "never lower"
        changes += [heard[1]] if heard[1] else []
        upto = reads[number] if number < len(reads) else 0
        if fresh := desk.fill(file, trades[:upto], NOW):
            changes.append(fresh)
    if last := desk.fill(file, trades, NOW):
        changes.append(last)
    assert file.live is not file.truth.status.terminal
    assert file.truth.open_quantity == (
        0 if file.truth.status.terminal else QUANTITY - file.truth.filled_quantity
    )
    return changes


@given(lives(), st.data())
def test_whatever_is_lost_doubled_or_late_the_end_is_the_same(life: Life, data: st.DataObject) -> None:
    states, trades = life
    news = data.draw(st.lists(st.sampled_from(states), max_size=12))
    reply = data.draw(st.sampled_from([None, Accepted("7"), Unknown("timeout")]))
    reads = data.draw(st.lists(st.integers(0, len(trades)), max_size=12))
    orderly = told(end_of(life, states, Accepted("7"), []))
    garbled = told(end_of(life, news, reply, reads))
    assert [e.trade_id for e in garbled if isinstance(e, Filled)] == [t.trade_id for t in trades]
    updates = [[e for e in each if isinstance(e, OrderUpdated)] for each in (orderly, garbled)]
    assert len({(each[-1].status, each[-1].filled_quantity) for each in updates}) == 1
    filled = [update.filled_quantity for update in updates[1]]
    assert filled == sorted(filled)


def test_an_unknown_word_counts_as_live_and_is_for_a_person() -> None:
    desk = Desk("r")
    (opened,) = desk.open(intent(), (QUANTITY,), NOW)
    desk.hear(report(("A WORD OF NEXT YEAR", 0)), NOW)
    assert desk.live() == [opened.file]
    assert "A WORD OF NEXT YEAR" in opened.file.seen.alarm
