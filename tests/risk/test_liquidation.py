"""What of the account is ours, read off the broker's books alone, and the orders that close exactly that."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from desk import ALPHA, BRAVO, parameters
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.config import RiskSection
from kitepilot.events import ApprovedIntent, OrderStatus, Purpose, Side
from kitepilot.orders.intents import intent_id, tag, watchdog_intent_id, watchdog_tag
from kitepilot.ports import OrderReport, PositionReport, TradeReport
from kitepilot.risk.ladder import ASK_BROKER_AFTER
from kitepilot.risk.liquidation import Mandate, Stake, exits, live_of_ours, stakes, width_bps

NOW = 1_795_146_300_000_000_000
LIMITS = RiskSection().limits()
TERMS = {each.token: each for each in parameters().instruments}
MANDATE = Mandate("run", "hash", NOW, LIMITS, TERMS)
NAMES = {ALPHA: "ALPHA", BRAVO: "BRAVO"}


@dataclass
class Account:
    """A broker's books, as they grow."""

    orders: list[OrderReport] = field(default_factory=list)
    trades: list[TradeReport] = field(default_factory=list)
    net: Counter[int] = field(default_factory=Counter)

    def order(
        self, who: str, side: Side, quantity: int, filled: int, *, token: int = ALPHA, word: str = ""
    ) -> None:
        """One order with one trade for what it filled; IOC unless `word` says that it is live."""
        number = len(self.orders)
        at = NOW + number
        tags = {
            "ours": tag(intent_id("run", "s", token, 0, number, Purpose.ENTRY)),
            "watchdog": watchdog_tag(watchdog_intent_id("run", token, NOW, number)),
            "owner": "",
        }
        ended = "COMPLETE" if filled == quantity else "CANCELLED"
        self.orders.append(
            OrderReport(
                str(number),
                tags[who],
                NAMES[token],
                token,
                side,
                quantity,
                filled,
                0,
                OrderStatus.WORKING,
                word or ended,
                "",
                at,
            )
        )
        if filled:
            trade = TradeReport(str(number), f"t{number}", NAMES[token], token, side, filled, 100, at)
            self.trades.append(trade)
        self.net[token] += side.sign * filled

    def positions(self) -> list[PositionReport]:
        return [PositionReport(NAMES[token], token, quantity) for token, quantity in self.net.items()]

    def stakes(self) -> dict[int, Stake]:
        return {each.token: each for each in stakes(self.orders, self.trades, self.positions())}

    def fill(self, order: ApprovedIntent) -> None:
        self.order("watchdog", order.side, order.quantity, order.quantity, token=order.token)


people = st.sampled_from(["ours", "ours", "owner", "watchdog"])
sides = st.sampled_from(Side)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    account = Account()
    for _ in range(draw(st.integers(0, 12))):
        quantity = draw(st.integers(1, 50))
        live = draw(st.sampled_from(["", "", "", "OPEN", "PUT ORDER REQ RECEIVED", "NEVER SEEN"]))
        filled = draw(st.integers(0, quantity if not live else quantity - 1))
        token = draw(st.sampled_from([ALPHA, BRAVO]))
        account.order(draw(people), draw(sides), quantity, filled, token=token, word=live)
    return account


def sent(account: Account, doubtful: dict[int, int] | None = None) -> list[ApprovedIntent]:
    return exits(MANDATE, account.stakes().values(), doubtful or {}, {}, NOW)


@given(accounts(), st.dictionaries(st.sampled_from([ALPHA, BRAVO]), st.integers(0, 60)))
def test_an_exit_never_asks_for_more_than_the_account_holds_on_that_side(
    account: Account, doubtful: dict[int, int]
) -> None:
    for order in sent(account, doubtful):
        net = account.net[order.token]
        assert order.side.sign * net < 0, "it would open or widen a position"
        on_the_way = sum(
            row.quantity - row.filled_quantity
            for row in live_of_ours(account.orders)
            if row.token == order.token and row.side is order.side
        )
        assert order.quantity + on_the_way + doubtful.get(order.token, 0) <= abs(net)
        assert order.purpose is not Purpose.ENTRY and order.validity == "IOC"
        assert 0 < order.protection_bps <= LIMITS.price_band_bps


@given(accounts())
def test_once_everything_live_has_ended_one_round_of_exits_leaves_nothing_of_ours(account: Account) -> None:
    account.orders = [
        row if row not in live_of_ours(account.orders) else cancelled(row) for row in account.orders
    ]
    for order in sent(account):
        account.fill(order)
    assert not [each for each in account.stakes().values() if each.quantity]
    assert sent(account) == []


def cancelled(row: OrderReport) -> OrderReport:
    return OrderReport(**{**vars(row), "venue_status": "CANCELLED"})


@given(accounts(), st.integers(1, 40), sides)
def test_what_somebody_holds_without_a_tag_is_never_touched(
    account: Account, quantity: int, side: Side
) -> None:
    owners = Account()
    owners.order("owner", side, quantity, quantity)
    assert sent(owners) == [] and owners.stakes()[ALPHA].quantity == 0
    before = {order.token: order.quantity for order in sent(account)}
    account.order("owner", Side.BUY, 7, 0, token=BRAVO, word="OPEN")
    assert {order.token: order.quantity for order in sent(account)} == before


def test_shares_the_owner_sold_by_hand_are_not_sold_again() -> None:
    account = Account()
    account.order("ours", Side.BUY, 10, 10)
    account.order("owner", Side.SELL, 4, 4)
    (order,) = sent(account)
    assert (order.side, order.quantity) == (Side.SELL, 6)


def test_the_owners_own_shares_stay_when_ours_leave() -> None:
    account = Account()
    account.order("owner", Side.BUY, 5, 5)
    account.order("ours", Side.BUY, 10, 10)
    (order,) = sent(account)
    assert order.quantity == 10
    account.fill(order)
    assert account.net[ALPHA] == 5 and sent(account) == []


def test_two_exits_that_raced_have_turned_the_position_and_it_is_turned_back() -> None:
    account = Account()
    account.order("ours", Side.BUY, 10, 10)
    account.order("watchdog", Side.SELL, 10, 10)
    account.order("ours", Side.SELL, 10, 10)
    (order,) = sent(account)
    assert (order.side, order.quantity) == (Side.BUY, 10)


def test_an_order_row_that_claims_more_than_the_listed_trades_is_believed() -> None:
    account = Account()
    account.order("ours", Side.BUY, 10, 10)
    account.trades.clear()
    assert account.stakes()[ALPHA].quantity == 10


def test_what_no_fill_explains_is_told_and_left_alone() -> None:
    account = Account()
    account.order("ours", Side.BUY, 10, 10)
    account.net[ALPHA] = 25
    (stake,) = account.stakes().values()
    assert (stake.quantity, stake.unexplained) == (10, 15)


def test_delivery_orders_are_nobodys_business_here() -> None:
    account = Account()
    account.order("ours", Side.BUY, 10, 10)
    account.orders = [OrderReport(**{**vars(row), "product": "CNC"}) for row in account.orders]
    assert account.stakes() == {} and live_of_ours(account.orders) == []


def test_after_its_continuous_close_an_instrument_is_left_to_a_person() -> None:
    account = Account()
    account.order("ours", Side.BUY, 10, 10)
    close = TERMS[ALPHA].continuous_close_at
    held = account.stakes().values()
    assert exits(MANDATE, held, {}, {}, close) == []
    assert len(exits(MANDATE, held, {}, {}, close - 1)) == 1


def test_each_try_asks_wider_up_to_the_band_and_then_takes_turns_with_the_narrowest() -> None:
    widths = [width_bps(LIMITS, tries) for tries in range(ASK_BROKER_AFTER + 4)]
    assert widths[:4] == [20, 40, 80, 160] and max(widths) == LIMITS.price_band_bps
    assert widths[ASK_BROKER_AFTER:] == [200, 20, 200, 20]


def test_every_exit_has_a_name_of_its_own() -> None:
    account = Account()
    account.order("ours", Side.BUY, 10, 10)
    account.order("ours", Side.BUY, 10, 10, token=BRAVO)
    held = list(account.stakes().values())
    names = [
        order.intent_id
        for tries in range(5)
        for order in exits(MANDATE, held, {}, {ALPHA: tries, BRAVO: tries}, NOW)
    ]
    assert len(set(names)) == len(names) == 10
