"""The named rules that lower the trading state: ACTIVE -> REDUCING -> HALTED. Only the owner raises it again.

A rule that watches a condition is looked at with each mark; the others act when their event comes. Once a
condition has acted it is silent until the owner resumes; if its cause stands then, it acts again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kitepilot.events import OrderStatus, StateChanged, TradingState
from kitepilot.risk import records
from kitepilot.risk.exposure import closing_loss_paise, drawdown_paise, loss_paise
from kitepilot.risk.state import DeskState

NS_PER_S = 1_000_000_000
UNKNOWN_ORDERS = 3  # at the same time
UNKNOWN_AGE_S = 120  # of session time since the order was sent
STALE_FEED_S = 60  # of session time; a sandbox never runs further than 15 s ahead of what was decided
SKEW_FACTOR = 5  # times `clock_skew_ms`, from which entries are refused already

_LOWEST = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)


@dataclass(frozen=True)
class Rule:
    """`watches`, `to_do`: the lines of the generated reference and of `kitepilot status`."""

    name: str
    lowers_to: TradingState
    watches: str
    to_do: str
    leaves: bool = False  # every position leaves as well


DAILY_LOSS = Rule(
    "daily_loss",
    TradingState.REDUCING,
    "the day's loss, were everything closed now at the first rung's protection, is at `daily_loss`",
    "nothing more today; resuming is refused while the loss stands",
    leaves=True,
)
DRAWDOWN = Rule(
    "drawdown",
    TradingState.REDUCING,
    "the day's result is `drawdown` below its best",
    "nothing more today; resuming is refused while it stands, or under a profile that allows more",
    leaves=True,
)
UNKNOWN = Rule(
    "unknown_orders",
    TradingState.REDUCING,
    f"{UNKNOWN_ORDERS} orders at once whose outcome is unknown, or one for {UNKNOWN_AGE_S} s",
    "compare with Kite's order book; resume once none is unknown",
)
STALE_FEED = Rule(
    "stale_feed",
    TradingState.REDUCING,
    f"the feed is down, or no instrument has had a quote, for {STALE_FEED_S} s between the open and the last "
    "entry cutoff (shorter gaps only refuse entries)",
    "see `kitepilot logs ingest`; resume once quotes come",
)
CLOCK_SKEW = Rule(
    "clock_skew",
    TradingState.REDUCING,
    f"this machine's clock is {SKEW_FACTOR} times `clock_skew` off or more",
    "set the clock (chrony, systemd-timesyncd), then resume",
)
BREAKER = Rule(
    "breaker",
    TradingState.REDUCING,
    "a circuit breaker towards the broker opens",
    "see `kitepilot logs gateway`; resume once the broker answers",
)
UNKNOWN_STATUS = Rule(
    "unknown_status",
    TradingState.HALTED,
    "the broker says an order status that is not known",
    "look the order up in Kite, then resume",
)
RECONCILIATION = Rule(
    "reconciliation",
    TradingState.HALTED,
    "the broker's books and ours stay different (docs/reference/reconciliation.md)",
    "mend what the difference names, then resume",
)
MODEL_DRIFT = Rule(
    "model_drift",
    TradingState.REDUCING,
    "a model or its features have drifted, and `models.on_drift` or `models.on_feature_drift` says `reduce`",
    "see `kitepilot explain` and docs/explanation/online-learning.md; resume, or go on without the model",
)
STUCK_POSITION = Rule(
    "stuck_position",
    TradingState.HALTED,
    "a position is held after its instrument's continuous close",
    "close it by hand in Kite, or expect delivery or the broker's square-off",
)
ALARM = Rule(
    "alarm",
    TradingState.HALTED,
    "an alarm that halts: a broker's square-off, an impossible order, a limit refused at the gateway, ...",
    "do what the alarm says, then resume",
)

RULES = (
    DAILY_LOSS,
    DRAWDOWN,
    UNKNOWN,
    STALE_FEED,
    CLOCK_SKEW,
    BREAKER,
    UNKNOWN_STATUS,
    RECONCILIATION,
    MODEL_DRIFT,
    STUCK_POSITION,
    ALARM,
)


def page() -> str:
    """The rules as a Markdown table, for the reference."""
    lines = ["| rule | lowers to | when | what to do |", "|---|---|---|---|"]
    for each in RULES:
        lowers = f"{each.lowers_to.value}, and every position leaves" if each.leaves else each.lowers_to.value
        lines.append(f"| `{each.name}` | {lowers} | {each.watches} | {each.to_do} |")
    return "\n".join(lines) + "\n"


def to_do(rule: str) -> str:
    """What the owner does about a rule that has acted; "" for a name that is none."""
    return next((each.to_do for each in RULES if each.name == rule), "")


def lower(state: DeskState, rule: Rule, detail: str) -> StateChanged:
    """Act by a rule: the state falls to the rule's or stays where it is, and the record says why."""
    state.standing.add(rule.name)
    if rule.leaves:
        state.leaving = state.leaving or rule.name
    return records.move(state, lower_of(state.trading, rule.lowers_to), f"{rule.name}: {detail}", rule.name)


def lower_of(one: TradingState, other: TradingState) -> TradingState:
    """The stricter of two."""
    return max(one, other, key=_LOWEST.index)


def watch(state: DeskState) -> list[StateChanged]:
    """Look at every condition, at a mark. Costs grow with working orders only."""
    state.peak_paise = max(state.peak_paise, -loss_paise(state))
    acted: list[StateChanged] = []
    for rule, looks in _CONDITIONS:
        if rule.name not in state.standing and (detail := looks(state)):
            acted.append(lower(state, rule, detail))
    return acted


def standing_against_resume(state: DeskState) -> str:
    """Why the owner cannot raise the state now, "" when he can."""
    for rule, looks in _CONDITIONS:
        if rule.leaves and (detail := looks(state)):
            return f"{rule.name}: {detail}"
    return ""


def _daily_loss(state: DeskState) -> str:
    lost, cap = closing_loss_paise(state), state.limits.daily_loss_paise
    return f"the day would end {_rupees(lost)} down, the cap is {_rupees(cap)}" if lost >= cap else ""


def _drawdown(state: DeskState) -> str:
    fallen, limit = drawdown_paise(state), state.limits.drawdown_paise
    if fallen < limit:
        return ""
    return f"{_rupees(fallen)} below the day's best of {_rupees(state.peak_paise)}, limit {_rupees(limit)}"


def _unknown_orders(state: DeskState) -> str:
    unknown = [each for each in state.working.values() if each.status is OrderStatus.UNKNOWN]
    if not unknown:
        return ""
    age_s = (state.now - min(each.sent_at for each in unknown)) // NS_PER_S
    if len(unknown) < UNKNOWN_ORDERS and age_s < UNKNOWN_AGE_S:
        return ""
    return f"{len(unknown)} orders of unknown outcome, the oldest for {age_s} s"


def _stale_feed(state: DeskState) -> str:
    last_entry_at = max((each.entry_cutoff_at for each in state.terms.values()), default=0)
    if not state.parameters.open_at <= state.now < last_entry_at:
        return ""
    down_s = (state.now - state.feed_down_at) // NS_PER_S if state.feed_down_at else 0
    quiet_s = (state.now - max(state.fresh_at, state.parameters.open_at)) // NS_PER_S
    if down_s >= STALE_FEED_S:
        return f"the feed has been down for {down_s} s"
    return f"no quote for {quiet_s} s" if quiet_s >= STALE_FEED_S else ""


def _clock_skew(state: DeskState) -> str:
    skew, far = abs(state.skew_ms or 0), state.limits.clock_skew_ms * SKEW_FACTOR
    return f"{skew} ms off, {far} ms is too far" if skew >= far else ""


def _rupees(paise: int) -> str:
    return f"₹{paise // 100:,}.{paise % 100:02d}" if paise >= 0 else f"-{_rupees(-paise)}"


_CONDITIONS: tuple[tuple[Rule, Callable[[DeskState], str]], ...] = (
    (DAILY_LOSS, _daily_loss),
    (DRAWDOWN, _drawdown),
    (UNKNOWN, _unknown_orders),
    (STALE_FEED, _stale_feed),
    (CLOCK_SKEW, _clock_skew),
)
