"""What must hold of a day: after every step, and when it is over. One small function each.

Each returns a sentence for what does not hold, or "". Its name, with blanks, is the invariant's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from simulated_market import S

from flows.decisions import DecisionLogic
from kitepilot.events import AnyEvent, OrderStatus, Purpose, TradingState, canonical, decode
from kitepilot.market import calendar
from kitepilot.orders.intents import parse_tag
from kitepilot.risk.refold import summary
from kitepilot.risk.state import load
from kitepilot.topics import DECISIONS, INTENTS, SESSION

if TYPE_CHECKING:
    from simulated_day import Day

#: By how much of the gross exposure a loss may pass the cap: between two prices the market may jump by 1.5 %
#: (`MOST_GAP_BPS`), and a position may be shut in by a halt or a broken line for some minutes meanwhile.
SLIPPAGE_BPS = 500
#: Hours of 20 November 2026 in ns UTC, written down and not asked of the calendar: 09:15, 14:45, 15:00 and
#: 15:08 in India.
OPEN_AT, CUTOFF_AT, SQUARE_OFF_AT, ALARM_AT = (
    1_795_132_800 * S + (hours * 60 + minutes) * 60 * S
    for hours, minutes in ((3, 45), (9, 15), (9, 30), (9, 38))
)
FORGIVEN_S = 2.0  # machine seconds after a start in which a 429 may come
EXIT_WITHIN_S = 200  # a position that has to leave is asked out again within so long (the ladder waits 15)


SETTLED_S = 120  # what the owner does by hand is known, and what was on its way has ended
ENDS = {"COMPLETE": "filled", "CANCELLED": "cancelled", "REJECTED": "rejected"}  # the exchange's word: ours


class ViolationError(Exception):
    """An invariant does not hold. `name` is the invariant's."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name


class Invariants:
    """The checks of one day, with what they remember between steps."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self._orders_seen = 0
        self._tags: set[str] = set()
        self._sent: Counter[str] = Counter()
        self._verdicts_seen = 0
        self._due_since: dict[int, int] = {}
        self._reconciled_seen = 0
        self._trades_seen = 0
        self.replayed = DecisionLogic()  # the day folded again, once it is over
        self._cash = 0
        self._marked_seen = 0
        self._exits_seen = 0
        self._net: Counter[int] = Counter()
        self._by_hand_at: dict[int, int] = {}
        self._held: Counter[int] = Counter()
        self.limits = day.run_facts.config.risk.limits()
        self._terms = {each.token: each for each in day.run_facts.told.instruments}

    def after_a_step(self) -> None:
        for check in AFTER_A_STEP:
            self._ask(check)

    def at_the_end(self) -> None:
        for check in (*AFTER_A_STEP, *AT_THE_END, *(() if self.day.plan.late else LIVENESS)):
            self._ask(check)

    def _ask(self, check: Check) -> None:
        if said := check(self):
            raise ViolationError(check.__name__.replace("_", " "), said)


Check = Callable[[Invariants], str]


# --- after every step ----------------------------------------------------------------------------------


def the_log_does_not_contradict_itself(it: Invariants) -> str:
    """Numbers without gaps, one story per number; filled never falls; an end is an end."""
    return "; ".join(it.day.history.wrong[:1])


def nothing_breaks_in_the_loop(it: Invariants) -> str:
    return "; ".join(it.day.loop.failures[:1])


def no_order_is_sent_twice(it: Invariants) -> str:
    """Each tag is at the exchange once, belongs to an intent, and children never exceed their intent."""
    orders = it.day.venue.exchange.book.orders
    if len(orders) == it._orders_seen:
        return ""
    for order in list(orders.values())[it._orders_seen :]:
        tag = order.request.tag
        if not tag:
            continue
        found = parse_tag(tag)
        intent = it.day.history.intents.get(found[0]) if found else None
        if intent is None:
            return f"the exchange has {tag}, and no intent has that name"
        if tag in it._tags:
            return f"the exchange has two orders with the tag {tag}"
        it._tags.add(tag)
        it._sent[intent.intent_id] += order.quantity
        if it._sent[intent.intent_id] > intent.quantity:
            return f"{it._sent[intent.intent_id]} sent of intent {intent.intent_id} over {intent.quantity}"
        if (order.request.token, order.request.buy) != (intent.token, intent.side == "BUY"):
            return f"{tag} is for another instrument or side than its intent"
    it._orders_seen = len(orders)
    return ""


def entries_only_where_they_may_be(it: Invariants) -> str:
    """None after the cutoff, while closed by the owner or the cap, on a frozen instrument, without a feed."""
    history = it.day.history
    cap = it.limits.daily_loss_paise
    fresh, it._verdicts_seen = history.verdicts[it._verdicts_seen :], len(history.verdicts)
    for verdict in fresh:
        if verdict.purpose is not Purpose.ENTRY:
            if not verdict.approved:
                return f"an exit was denied: {verdict.denial} {verdict.tradingsymbol}"
            continue
        facts = history.facts.get(verdict.signal_id)
        if not verdict.approved or facts is None:
            continue
        name = f"entry {verdict.intent_id} on {verdict.tradingsymbol}"
        if not OPEN_AT <= facts.now < CUTOFF_AT:
            return f"{name} outside the hours, at {calendar.to_ist(facts.now):%H:%M:%S}"
        if facts.closed_by:
            return f"{name} after the owner's {facts.closed_by}"
        if verdict.token in facts.unknown:
            return f"{name} while an order on it is unknown"
        if facts.loss_paise >= cap:
            return f"{name} with {facts.loss_paise} paise lost of {cap}"
        if not facts.feed_up:
            return f"{name} while the feed is down"
    return ""


def nothing_is_sent_behind_the_fence(it: Invariants) -> str:
    return "; ".join(it.day.venue.behind_fence[:1])


def the_brokers_limits_are_kept(it: Invariants) -> str:
    """Ten orders in a calendar second of the broker's clock, and so on. A gateway that was just started does
    not know what its predecessor used of the running second: the broker's 429 is waited out then."""
    started = it.day.gateway.started_at
    over = [what for at, what in it.day.venue.over_limit if at - started > FORGIVEN_S]
    it.day.venue.over_limit.clear()
    return f"refused by the limiter: {over[0]}" if over else ""


def the_loss_stays_within_its_cap(it: Invariants) -> str:
    """Of our own trades, at the exchange's last prices; plus the stated slippage.

    Not asked once the owner has traded by hand: he may have closed shares of ours.
    """
    if it.day.history.foreign_fills:
        return ""
    most = it.limits.daily_loss_paise + it.limits.gross_exposure_paise * SLIPPAGE_BPS // 10_000
    book, market = it.day.venue.exchange.book, it.day.venue.exchange.market
    for trade in book.trades[it._trades_seen :]:
        if parse_tag(book.orders[trade.order_id].request.tag):
            signed = trade.quantity if trade.buy else -trade.quantity
            it._held[trade.token] += signed
            it._cash -= signed * trade.price_paise
    it._trades_seen = len(book.trades)
    loss = -it._cash - sum(q * market.last_paise(token) for token, q in it._held.items() if q)
    return f"{loss} paise lost, cap and slippage are {most}" if loss > most else ""


def the_cap_closes_the_day(it: Invariants) -> str:
    """At a mark with the cap lost, before charges even, nothing is opened any more."""
    fresh, it._marked_seen = it.day.history.marked[it._marked_seen :], len(it.day.history.marked)
    cap = it.limits.daily_loss_paise
    lost = [(at, loss) for at, state, loss in fresh if state is TradingState.ACTIVE and loss >= cap]
    return f"active at {calendar.to_ist(lost[0][0]):%H:%M:%S} with {lost[0][1]} of {cap} lost" if lost else ""


def no_exit_opens_a_position(it: Invariants) -> str:
    """An exit of ours only brings the account nearer to nothing, unless the owner has just traded there."""
    book = it.day.venue.exchange.book
    for trade in book.trades[it._exits_seen :]:
        found = parse_tag(book.orders[trade.order_id].request.tag or "")
        intent = it.day.history.intents.get(found[0]) if found else None
        signed, net = trade.quantity if trade.buy else -trade.quantity, it._net[trade.token]
        it._net[trade.token] = net + signed
        if found is None:
            it._by_hand_at[trade.token] = trade.traded_at
            continue
        quiet = trade.traded_at - it._by_hand_at.get(trade.token, 0) > SETTLED_S * S
        if (
            intent is not None
            and intent.purpose is not Purpose.ENTRY
            and quiet
            and abs(net + signed) > abs(net)
        ):
            return f"an exit of {trade.quantity} {trade.tradingsymbol} met {net} held: now {net + signed}"
    it._exits_seen = len(book.trades)
    return ""


def positions_are_asked_out(it: Invariants) -> str:
    """What has to leave is asked out: at the square-off, and when the owner says flatten."""
    history, now = it.day.history, it.day.history.now
    for token, quantity in history.positions.items():
        terms = it._terms[token]
        due = now >= SQUARE_OFF_AT or history._closed_by == "flatten"
        foreign = any(fill.token == token for fill in history.foreign_fills)
        if not quantity or not due or now >= terms.continuous_close_at or foreign:
            it._due_since.pop(token, None)
            continue
        if history.working(token, entry=False):
            it._due_since[token] = now  # one is on its way: the next may come when it has ended
            continue
        since = it._due_since.setdefault(token, now)
        if now - since > EXIT_WITHIN_S * S:
            return f"{quantity} of {terms.tradingsymbol} are due and nobody has asked them out since {since}"
    return ""


def reconciliations_do_not_halt(it: Invariants) -> str:
    """What differs is trading that goes on, or heals by looking again."""
    fresh = it.day.history.reconciled[it._reconciled_seen :]
    it._reconciled_seen += len(fresh)
    halted = [each for each in fresh if each.verdict == "halt"]
    return f"{halted[0].occasion}: {halted[0].differences}" if halted else ""


AFTER_A_STEP: tuple[Check, ...] = (
    the_log_does_not_contradict_itself,
    nothing_breaks_in_the_loop,
    no_order_is_sent_twice,
    entries_only_where_they_may_be,
    nothing_is_sent_behind_the_fence,
    the_brokers_limits_are_kept,
    the_loss_stays_within_its_cap,
    the_cap_closes_the_day,
    no_exit_opens_a_position,
    positions_are_asked_out,
    reconciliations_do_not_halt,
)

# --- when it is over -----------------------------------------------------------------------------------


def the_day_replays_to_the_same_words(it: Invariants) -> str:
    """One fold over the session log, without any crash, says what was said."""
    logic = DecisionLogic()
    wanted: dict[str, list[AnyEvent]] = {DECISIONS.name: [], INTENTS.name: []}
    for record in it.day.log.records[SESSION.name]:
        for topic, event in logic.on_record(record):
            wanted[topic].append(decode(canonical(event)))
    for topic, words in wanted.items():
        said = [
            event
            for (where, source), numbered in sorted(it.day.history.said.items())
            if where == topic and source.startswith("decisions")
            for _, event in sorted(numbered.items())
        ]
        if said != words:
            first = next((n for n, (a, b) in enumerate(zip(said, words, strict=False)) if a != b), -1)
            return f"{topic}: {len(said)} said, {len(words)} replayed, first difference at {first}"
    it.replayed = logic
    return ""


def the_books_are_equal(it: Invariants) -> str:
    """Exchange, journal and session log have the same trades of ours; the fold has their positions."""
    book = it.day.venue.exchange.book
    ours = {name for name, order in book.orders.items() if parse_tag(order.request.tag)}
    there = {(t.order_id, t.trade_id): (t.quantity, t.price_paise) for t in book.trades if t.order_id in ours}
    rows = it.day.postgres.rows("SELECT order_id, trade_id, quantity, price_paise FROM fills")
    journal = {(order_id, trade_id): (quantity, price) for order_id, trade_id, quantity, price in rows}
    told = Counter((f.order_id, f.trade_id, f.quantity, f.price_paise) for f in it.day.history.fills)
    if journal != there:
        return f"journal and exchange differ in {sorted(journal.items() ^ there.items())[:3]}"
    if told != Counter((*key, *value) for key, value in there.items()):
        return "what was told of fills is not what the exchange has"
    return _positions_differ(it)


def _positions_differ(it: Invariants) -> str:
    state = load(_blob(it))
    assert state is not None
    held = summary(state)
    fold = Counter({i.token: i.quantity for i in held.instruments})
    fold.update({i.token: i.quantity for i in held.owners})
    exchange = {token: tally.quantity for token, tally in it.day.venue.exchange.book.tallies.items()}
    for token in fold.keys() | exchange.keys():
        if fold[token] != exchange.get(token, 0):
            return f"{token}: the fold holds {fold[token]}, the exchange {exchange.get(token, 0)}"
    return f"{held.strangers} fills of strangers" if held.strangers else ""


def _blob(it: Invariants) -> bytes:
    from msgspec import msgpack

    from flows.decisions import Saved

    return msgpack.decode(it.replayed.snapshot(), type=Saved).state


def every_order_has_its_end(it: Invariants) -> str:
    """Each intent was journaled, each of its children has ended, and that was told."""
    history = it.day.history
    rows = it.day.postgres.rows("SELECT intent_id, tag, status, order_id, filled_quantity FROM orders")
    journaled = {row[0] for row in rows}
    if lost := history.intents.keys() - journaled:
        return f"never journaled: {sorted(lost)[:2]}"
    there = {order.request.tag: order for order in it.day.venue.exchange.book.orders.values()}
    for intent_id, tag, status, order_id, filled in rows:
        if not OrderStatus(status).terminal:
            return f"{tag} ({order_id or 'no order id'}) is {status}"
        order = there.get(tag)
        if order is not None and (ENDS.get(order.status), order.filled_quantity) != (status, filled):
            theirs = f"{order.status} with {order.filled_quantity}"
            return f"{tag} ended here as {status} with {filled} filled, at the exchange as {theirs}"
        if order is None and status != OrderStatus.REJECTED:
            return f"{tag} is {status} here, and the exchange never had it"
        told = history.status.get(intent_id)
        if told is None or not told.status.terminal:
            return f"the end of {tag} was not told: {told.status if told else 'nothing was'}"
    return ""


def the_last_reconciliation_is_equal(it: Invariants) -> str:
    found = it.day.history.reconciled
    if not found or found[-1].occasion != "end_of_day":
        return f"the last is {found[-1].occasion if found else 'none'}, not the end of day's"
    return "" if found[-1].verdict != "halt" else f"{found[-1].differences}"


AT_THE_END: tuple[Check, ...] = (
    the_day_replays_to_the_same_words,
    every_order_has_its_end,
    the_books_are_equal,
    the_last_reconciliation_is_equal,
)

# --- what the liveness phase promises ------------------------------------------------------------------


def flat_by_the_cutoff(it: Invariants) -> str:
    """Nothing of ours is held or traded after the alarm's time; the broker closed nothing for us.

    Where the owner traded by hand as well, the two are one position there: what is ours is the fold's word.
    """
    held = Counter[int]()
    book = it.day.venue.exchange.book
    mixed = {fill.token for fill in it.day.history.foreign_fills if not fill.by_broker}
    for trade in book.trades:
        order = book.orders[trade.order_id]
        if order.by_broker and trade.token not in mixed:
            return f"the broker closed {trade.quantity} of {trade.tradingsymbol}"
        if parse_tag(order.request.tag):
            if trade.traded_at > ALARM_AT:
                return f"{trade.tradingsymbol} still traded at {calendar.to_ist(trade.traded_at):%H:%M:%S}"
            held[trade.token] += trade.quantity if trade.buy else -trade.quantity
    left = [token for token, quantity in held.items() if quantity and token not in mixed]
    return f"{left} are held at the end" if left else ""


LIVENESS: tuple[Check, ...] = (flat_by_the_cutoff,)
