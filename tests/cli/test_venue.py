"""The broker's side of a day's proof, from books as a broker lists them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_adapter.kite.reading import BrokerReadError
from kitepilot.cli import reconcile
from kitepilot.cli.venue import BrokerVenue, VenueBooks, VenueUnreadableError, broker_book
from kitepilot.config import Config
from kitepilot.events import OrderStatus, Purpose, Side
from kitepilot.orders.intents import intent_id, tag
from kitepilot.ports import OrderReport, PositionReport, TradeReport
from kitepilot.run import Run

DAY = date(2026, 11, 20)
TOKEN = 408065
OURS = intent_id("live-20261120-0002", "vwap", TOKEN, 1, 1, Purpose.ENTRY)
EARLIER = intent_id("live-20261120-0001", "vwap", TOKEN, 1, 1, Purpose.ENTRY)


def order(order_id: str, its_tag: str = "", by_broker: bool = False) -> OrderReport:
    return OrderReport(
        order_id, its_tag, "INFY", TOKEN, Side.BUY, 10, 10, 150_000, OrderStatus.FILLED, "COMPLETE", "", 1,
        by_broker=by_broker,
    )  # fmt: skip


def trade(order_id: str, side: Side, price_paise: int, at: int, product: str = "MIS") -> TradeReport:
    return TradeReport(order_id, f"T{at}", "INFY", TOKEN, side, 10, price_paise, at, product)


BOUGHT, SOLD = trade("1", Side.BUY, 150_000, 1), trade("2", Side.SELL, 151_200, 2)


class ListedBroker:
    """A broker whose trade book grows by one trade each time it is asked, as long as there are more."""

    def __init__(self, listed: list[TradeReport], more: list[TradeReport]) -> None:
        self._listed, self._more = listed, more

    def orders(self) -> list[OrderReport]:
        return [order(trade.order_id) for trade in self._listed]

    def positions(self) -> list[PositionReport]:
        return [PositionReport("INFY", TOKEN, sum(t.side.sign * t.quantity for t in self._listed))]

    def trades(self) -> list[TradeReport]:
        told = list(self._listed)
        if self._more:
            self._listed.append(self._more.pop(0))
        return told


def of_broker(broker: object, run: Run) -> BrokerVenue:
    return BrokerVenue(run, broker, lambda tags: ())  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: object) -> Run:
    return Run("live-20261120-0002", tmp_path, Config())  # type: ignore[arg-type]


def test_an_order_is_ours_by_its_tag_unless_another_run_of_the_day_sent_it() -> None:
    listed = [order("1", tag(OURS, 3)), order("2", tag(EARLIER)), order("3", "phone"), order("4")]
    book = broker_book(listed, [], {tag(EARLIER)})
    assert book.orders == {"1": OURS, "2": "", "3": "", "4": ""}
    assert broker_book(listed, [], ()).orders["2"] == EARLIER  # a tag nobody knows stays a difference


def test_delivery_trades_are_not_of_the_intraday_book_and_the_brokers_own_orders_cost_more() -> None:
    kept = broker_book([order("1"), order("2")], [BOUGHT, SOLD, trade("5", Side.BUY, 1, 3, "CNC")], ())
    billed = broker_book([order("1"), order("2", by_broker=True)], [BOUGHT, SOLD], ())
    assert kept.totals(DAY).fills == 2
    assert kept.totals(DAY).realised_paise == 12_000
    assert billed.totals(DAY).charges_paise == kept.totals(DAY).charges_paise + 5_900  # 50 rupees and GST


@pytest.mark.parametrize(("coming", "quiet"), [(0, True), (1, True), (2, True), (9, False)])
def test_trades_that_come_while_the_books_are_read_are_waited_for_a_while(
    run: Run, coming: int, quiet: bool
) -> None:
    more = [trade(f"{n}", Side.BUY, 100, n) for n in range(10, 10 + coming)]
    seen = of_broker(ListedBroker([BOUGHT], more), run).books()
    assert seen.quiet == quiet
    if quiet:
        assert len(seen.book.fills) == 1 + coming
        assert seen.positions == {TOKEN: 10 + 10 * coming}
    else:
        proof = reconcile.lay_side_by_side("broker", seen, "", {}, DAY)
        assert proof.first_difference == "trades came in while the broker's books were read"


@given(held=st.integers(-500, 500))
def test_the_brokers_own_position_must_be_what_its_trades_add_up_to(held: int) -> None:
    seen = VenueBooks(broker_book([order("1")], [BOUGHT], ()), {TOKEN: held})
    proof = reconcile.lay_side_by_side("broker", seen, "", {}, DAY)
    assert proof.reconciled == (held == 10)
    if held != 10:
        assert f"position in {TOKEN}: {held} by the broker's own count, 10" in proof.first_difference


def test_a_position_without_any_trade_is_a_difference() -> None:
    proof = reconcile.lay_side_by_side("broker", VenueBooks(broker_book([], [], ()), {256: 5}), "", {}, DAY)
    assert "position in 256: 5" in proof.first_difference


def test_a_broker_that_cannot_be_read_leaves_the_other_books_and_a_clear_line(run: Run) -> None:
    class Locked(ListedBroker):
        def trades(self) -> list[TradeReport]:
            raise BrokerReadError("trades: TokenException: Incorrect `api_key` or `access_token`.")

    with pytest.raises(VenueUnreadableError, match="TokenException"):
        of_broker(Locked([], []), run).books()
    kept = broker_book([order("1"), order("2")], [BOUGHT, SOLD], ()).totals(DAY)
    columns = {"PostgreSQL": kept, "decisions": replace(kept, orders=None), "ClickHouse": kept}
    proof = reconcile.lay_side_by_side("broker", None, "token gone", columns, DAY)
    assert (proof.reconciled, proof.totals) == (False, kept)
    assert proof.first_difference == "the broker's books could not be read: token gone"
    assert proof.table()["heads"] == ["", *columns, ""]


def test_ticks_are_those_the_feed_counted_and_none_where_it_never_ran(run: Run) -> None:
    venue = of_broker(ListedBroker([], []), run)
    assert venue.market().ticks == 0
    (run.folder / "ingest_counts.json").write_text('{"ticks": 7}')
    assert venue.market().ticks == 7
