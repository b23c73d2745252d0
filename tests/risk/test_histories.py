"""Any history of signals, marks, fills, lost replies, repeats and commands: what must hold throughout."""

from __future__ import annotations

from collections import defaultdict

from desk import ALPHA, BRAVO, CHARLIE, DAY, Desk, S, intents, parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.events import (
    AccountMarked,
    ApprovedIntent,
    Filled,
    OrderStatus,
    Purpose,
    Side,
    Verdict,
    canonical,
    decode,
    encode,
    stream_hash,
)
from kitepilot.market.calendar import ist_ns
from kitepilot.orders.charges import ExecutedOrder, charges_for
from kitepilot.risk.admission import admit, admitted
from kitepilot.risk.decide import decide
from kitepilot.risk.exposure import valued
from kitepilot.risk.refold import fold_all, summary
from kitepilot.risk.state import RECENT_ORDERS, load, save

TOKENS = (ALPHA, BRAVO, CHARLIE)
GROSS = 14_000_000
LIMITS = {
    "gross_exposure_paise": GROSS,
    "open_positions": 2,
    "orders_per_second": 3,
    "orders_per_day": 60,
    "daily_loss_paise": 400_000,
}

step = st.tuples(
    st.sampled_from(
        ["mark"] * 4
        + ["signal"] * 4
        + ["leave", "fill", "fill", "complete", "complete", "cancel", "unknown", "reject", "late", "command"]
    ),
    st.integers(0, 2**16),
)
histories = st.lists(step, max_size=70)


class Exchange:
    """Plays random steps against a desk, and keeps its own books to compare with."""

    def __init__(self) -> None:
        self.desk = Desk(parameters(**LIMITS))
        self.last = {"alpha": 100_000, "bravo": 50_000, "charlie": 20_000}
        self.filled: dict[str, int] = defaultdict(int)
        self.desk.mark(**self.last)

    def intents(self) -> list[ApprovedIntent]:
        return intents(self.desk.out)

    def live(self) -> list[ApprovedIntent]:
        return [each for each in self.intents() if each.intent_id in self.desk.desk.working]

    def play(self, action: str, number: int) -> None:
        getattr(self, f"_{action}")(number)

    def _mark(self, number: int) -> None:
        name = list(self.last)[number % 3]
        self.last[name] = max(1_000, self.last[name] + (number // 3 % 401 - 200) * 5)
        self.desk.mark(1 + number % 7, **{name: self.last[name]})

    def _signal(self, number: int) -> None:
        self.desk.signal(list(Side)[number % 2], TOKENS[number // 2 % 3], ("rule", "other")[number // 6 % 2])

    def _leave(self, number: int) -> None:
        self.desk.signal(None, TOKENS[number % 3])

    def _fill(self, number: int) -> None:
        for intent in self._one_of(self.live(), number):
            open_quantity = intent.quantity - self.filled[intent.intent_id]
            if open_quantity > 1:
                self._trade(intent, 1 + number % (open_quantity - 1))

    def _complete(self, number: int) -> None:
        for intent in self._one_of(self.live(), number):
            self.finish(intent)

    def finish(self, intent: ApprovedIntent) -> None:
        open_quantity = intent.quantity - self.filled[intent.intent_id]
        if open_quantity > 0 and not self.desk.desk.working[intent.intent_id].status.terminal:
            self._trade(intent, open_quantity)
        self.desk.update(intent, OrderStatus.FILLED, self.filled[intent.intent_id])

    def _cancel(self, number: int) -> None:
        for intent in self._one_of(self.live(), number):
            self.desk.update(intent, OrderStatus.CANCELLED, self.filled[intent.intent_id])

    def _unknown(self, number: int) -> None:
        for intent in self._one_of(self.live(), number):
            self.desk.update(intent, OrderStatus.UNKNOWN)

    def _reject(self, number: int) -> None:
        for intent in self._one_of(self.live(), number):
            self.desk.update(intent, OrderStatus.REJECTED, self.filled[intent.intent_id])

    def _late(self, number: int) -> None:
        """A fill after the end of an order: the venue raced us."""
        for intent in self._one_of(self.intents(), number):
            if intent.quantity > self.filled[intent.intent_id]:
                self._trade(intent, 1)

    def _command(self, number: int) -> None:
        names = ("halt", "resume", "reduce", "flatten", "resume", "strategy_disable", "strategy_enable")
        self.desk.command(names[number % len(names)], "rule")

    def _trade(self, intent: ApprovedIntent, quantity: int) -> None:
        self.filled[intent.intent_id] += quantity
        self.desk.fill(intent, quantity)

    @staticmethod
    def _one_of(among: list[ApprovedIntent], number: int) -> list[ApprovedIntent]:
        return [among[number % len(among)]] if among else []


def played(history: list[tuple[str, int]]) -> Exchange:
    exchange = Exchange()
    for action, number in history:
        exchange.play(action, number)
    return exchange


def positions_of(desk: Desk) -> dict[int, int]:
    """Net quantity per token from the fills alone."""
    net: dict[int, int] = defaultdict(int)
    for event in desk.said:
        if isinstance(event, Filled):
            net[event.token] += event.side.sign * event.quantity
    return net


@given(histories)
@settings(max_examples=150, deadline=None)
def test_the_sums_that_are_kept_are_those_worked_out_afresh(history: list[tuple[str, int]]) -> None:
    exchange = Exchange()
    for action, number in history:
        exchange.play(action, number)
        state = exchange.desk.desk
        kept, state.valuation = state.valuation, None
        assert kept in (None, valued(state))


@given(histories)
@settings(max_examples=150, deadline=None)
def test_at_every_entry_the_instrument_was_free_and_gross_exposure_within_its_cap(
    history: list[tuple[str, int]],
) -> None:
    exchange = Exchange()
    desk = exchange.desk
    for action, number in history:
        occupied = {each.token for each in exchange.live()}
        held = {token for token, net in positions_of(desk).items() if net}
        exposure = sum(
            abs(net) * desk.desk.quote(token).last_paise for token, net in positions_of(desk).items()
        ) + sum(
            (each.quantity - exchange.filled[each.intent_id]) * each.limit_price_paise
            for each in exchange.live()
            if each.purpose is Purpose.ENTRY and not desk.desk.working[each.intent_id].status.terminal
        )
        before = len(desk.out)
        exchange.play(action, number)
        for entry in intents(desk.out[before:]):
            if entry.purpose is Purpose.ENTRY:
                assert entry.token not in occupied | held
                assert exposure + entry.quantity * entry.limit_price_paise <= GROSS
                assert len(occupied | held) < 2


@given(histories)
@settings(max_examples=150, deadline=None)
def test_an_exit_never_asks_for_more_than_is_held_and_not_yet_leaving(
    history: list[tuple[str, int]],
) -> None:
    exchange = Exchange()
    desk = exchange.desk
    for action, number in history:
        before = len(desk.out)
        leaving: dict[int, int] = defaultdict(int)
        exchange.play(action, number)
        net = positions_of(desk)
        sent = [each for each in intents(desk.out[before:]) if each.purpose is not Purpose.ENTRY]
        for order in desk.desk.working.values():
            if order.purpose is not Purpose.ENTRY:
                leaving[order.token] += order.pending_quantity
        for each in sent:
            assert each.side.sign * net[each.token] < 0
            assert leaving[each.token] <= abs(net[each.token])


@given(histories)
@settings(max_examples=150, deadline=None)
def test_the_books_agree_with_the_fills_to_the_paisa(history: list[tuple[str, int]]) -> None:
    desk = played(history).desk
    state = desk.desk
    fills = [event for event in desk.said if isinstance(event, Filled)]
    assert {token: p.quantity for token, p in state.positions.items() if p.quantity} == {
        token: net for token, net in positions_of(desk).items() if net
    }
    by_order: dict[str, list[Filled]] = defaultdict(list)
    for fill in fills:
        by_order[fill.order_id].append(fill)
    orders = [
        ExecutedOrder(
            group[0].side, sum(f.quantity for f in group), sum(f.quantity * f.price_paise for f in group)
        )
        for group in by_order.values()
    ]
    told = summary(state)
    assert told.charges_paise == charges_for(orders, DAY).total_paise
    assert told.fills == len(fills)
    assert sum(each.realised_paise for each in told.instruments) == told.realised_paise
    assert set(state.holdings) == {token for token, net in positions_of(desk).items() if net}
    assert told.strangers == told.gaps == 0


@given(histories)
@settings(max_examples=100, deadline=None)
def test_given_fills_everything_is_flat_when_it_must_be(history: list[tuple[str, int]]) -> None:
    exchange = played(history)
    desk = exchange.desk
    desk.now = max(desk.now, ist_ns(DAY, "15:00")) - S
    while desk.now < ist_ns(DAY, "15:05"):
        desk.mark(5)
        for intent in exchange.live():
            exchange.finish(intent)
    assert desk.desk.holdings == {} and not any(positions_of(desk).values())
    marked = desk.mark()[-1]
    assert isinstance(marked, AccountMarked)
    assert marked.open_positions == marked.working_orders == marked.unrealised_paise == 0
    assert marked.realised_paise == sum(p.sold_paise - p.bought_paise for p in desk.desk.positions.values())


@given(histories, st.data())
@settings(max_examples=100, deadline=None)
def test_repeats_and_restarts_change_nothing(history: list[tuple[str, int]], data: st.DataObject) -> None:
    """At-least-once delivery: from a saved state, any stretch of the log may be read twice."""
    desk = played(history).desk
    values = [encode(event) for event in desk.said]
    cut = data.draw(st.integers(0, len(values)))
    back = data.draw(st.integers(0, cut))
    state, out = None, []
    for value in values[:cut]:
        state, decided = decide(state, admit(value))
        out += decided
    state = load(save(state))
    for value in values[back:]:  # the stretch back..cut comes again
        state, decided = decide(state, admit(value))
        out += decided
    assert stream_hash(out) == stream_hash(desk.out)
    assert state is not None and summary(state) == summary(desk.desk)


@given(histories)
@settings(max_examples=60, deadline=None)
def test_refolding_the_log_gives_the_same_records_byte_for_byte(history: list[tuple[str, int]]) -> None:
    desk = played(history).desk
    _, out = fold_all(admitted(encode(event) for event in desk.said))
    assert [canonical(event) for event in out] == [canonical(event) for event in desk.out]
    assert [canonical(decode(encode(event))) for event in out] == [canonical(event) for event in out]


@given(histories)
@settings(max_examples=60, deadline=None)
def test_every_signal_has_a_verdict_and_every_intent_one_that_approves_it(
    history: list[tuple[str, int]],
) -> None:
    exchange = played(history)
    verdicts = [event for event in exchange.desk.out if isinstance(event, Verdict)]
    asked = sum(action == "signal" for action, _ in history)
    assert sum(verdict.purpose is Purpose.ENTRY for verdict in verdicts) == asked
    approving = {verdict.verdict_id: verdict.intent_id for verdict in verdicts if verdict.approved}
    assert approving == {each.verdict_id: each.intent_id for each in exchange.intents()}
    assert all(verdict.denial for verdict in verdicts if not verdict.approved)


def test_what_the_fold_remembers_does_not_grow_with_the_day() -> None:
    many = 10**6
    desk = Desk(
        parameters(
            orders_per_day=many, orders_per_minute=many, trades_per_day=many, trades_per_instrument=many
        )
    )
    sizes = []
    for number in range(1, 4 * RECENT_ORDERS + 1):
        desk.mark(alpha=100_000)
        for intent in intents(desk.signal()):
            desk.update(intent, OrderStatus.CANCELLED)
        if number % RECENT_ORDERS == 0:
            sizes.append(len(save(desk.desk)))
    assert len(desk.desk.recent) == RECENT_ORDERS
    assert abs(sizes[-1] - sizes[0]) < 1_000
