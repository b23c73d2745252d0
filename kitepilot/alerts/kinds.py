"""The kinds of alerts, in one table: how grave, when raised, what ends it, what the owner does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kitepilot.events import TradingState


class Severity(StrEnum):
    """CRITICAL calls until somebody acknowledges, at any hour. WARNING is told once, INFO only listed."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return tuple(Severity).index(self)


@dataclass(frozen=True)
class Kind:
    """`when`, `ends`, `to_do`: the lines of the generated reference. Without `ends` only a person ends it."""

    name: str
    severity: Severity
    when: str
    to_do: str
    ends: str = ""


I, W, C = Severity.INFO, Severity.WARNING, Severity.CRITICAL  # noqa: E741 the columns of a table
_ACTIVE = "trading is active again"

KINDS = (
    Kind(
        "halted",
        C,
        "trading is halted, by a rule or a person",
        "see `kitepilot status`, then resume",
        _ACTIVE,
    ),
    Kind(
        "reducing", W, "a rule lets positions only be reduced", "do what the rule says, then resume", _ACTIVE
    ),
    Kind("reduced_by_owner", I, "the owner reduces, flattens or ends the day", "nothing", _ACTIVE),
    Kind("loss_limit", C, "the day's loss or drawdown limit has acted", "nothing more today", _ACTIVE),
    Kind(
        "loss_near",
        W,
        "the day's worst case has used 80 % of the loss limit",
        "look at the positions",
        "it is below 70 %",
    ),
    Kind(
        "unknown_order",
        C,
        "nobody knows whether an order exists",
        "compare with Kite's order book; never send it again by hand",
        "the order was found, or found absent",
    ),
    Kind(
        "reconciliation",
        C,
        "the broker's books and ours stay different, or cannot be compared",
        "mend what the difference names",
        "a comparison finds them equal",
    ),
    Kind("order_alarm", C, "an order did what no order may do", "look the order up in Kite"),
    Kind("refused", W, "the gateway refused to send an approved order", "see `kitepilot logs gateway`"),
    Kind("broker_square_off", C, "the broker closes positions", "look at the account in Kite"),
    Kind("foreign_order", W, "an order of the account that is not KitePilot's", "ask who placed it"),
    Kind(
        "breaker",
        W,
        "a circuit breaker towards the broker is open",
        "see `kitepilot logs gateway`",
        "the breaker closes",
    ),
    Kind(
        "exit_ladder",
        C,
        "six exits of a position found no fill",
        "close it at the broker's terminal",
        "an order of that instrument is filled",
    ),
    Kind(
        "watchdog_flatten",
        C,
        "the watchdog has raised the fence and flattens",
        "see that the account is flat; `kitepilot resume` lowers the fence",
        "the fence is lowered",
    ),
    Kind(
        "watchdog", C, "the watchdog sees what it cannot mend", "look at the broker's terminal", "it goes on"
    ),
    Kind("feed_gap", W, "the feed is down", "see `kitepilot logs ingest`", "the feed is up"),
    Kind("login_needed", C, "the broker does not take the login", "`kitepilot login`", "the feed is up"),
    Kind(
        "login_ends",
        W,
        "the day's login ends at 06:00 IST, in less than 30 minutes",
        "log in again before the session",
        "a person has acknowledged, or another run begins",
    ),
    Kind("drift", W, "a model or a feature has drifted", "see docs/explanation/online-learning.md"),
    Kind(
        "model_stale", W, "a model's scores may open nothing", "see `kitepilot models`", "it is fresh again"
    ),
    Kind(
        "disk_low",
        W,
        "less than 2 GiB are free in the home",
        "free space before it ends the day",
        "3 GiB are free",
    ),
    Kind("disk_full", C, "less than 512 MiB are free in the home", "free space now", "1 GiB is free"),
    Kind("process_restarted", W, "a process was started again", "see `kitepilot logs` of that process"),
    Kind("process_gone", C, "a process has been gone for 20 s", "`kitepilot status`", "it runs again"),
    Kind(
        "dead_man",
        C,
        "market hours, and nothing has been said on the log for `alerts.dead_man_s`",
        "look at the positions in Kite, then `kitepilot status`",
        "something is said",
    ),
    Kind(
        "log_unreadable", C, "the event log cannot be read", "see `kitepilot logs alerts`", "it can be read"
    ),
    Kind("test", W, "somebody asked for a test: `kitepilot alerts test`", "nothing"),
)
BY_NAME = {kind.name: kind for kind in KINDS}
#: The gateway's alarms (`Alarmed.kind`) -> ours; one that is not named here is an `order_alarm`.
OF_ALARMS = {
    "fence": "watchdog_flatten",
    "watchdog_order": "watchdog_flatten",
    "broker_order": "broker_square_off",
    "foreign_order": "foreign_order",
    "refused": "refused",
    "breaker": "breaker",
    "reconciliation": "reconciliation",
    "order": "order_alarm",
    "feed": "login_needed",
    "backfill": "feed_gap",
}
#: A lowered state by the rule that lowered it; other rules by the state they lower to.
OF_RULES = {"daily_loss": "loss_limit", "drawdown": "loss_limit"}


def of_state(state: TradingState, rule: str) -> str:
    """The kind for a state that was lowered by `rule` ("": a person)."""
    if rule in OF_RULES:
        return OF_RULES[rule]
    if state is TradingState.HALTED:
        return "halted"
    return "reducing" if rule else "reduced_by_owner"


def page() -> str:
    """The table as Markdown, for the reference."""
    lines = ["| kind | severity | raised when | ends when | what to do |", "|---|---|---|---|---|"]
    lines += [
        f"| `{k.name}` | {k.severity} | {k.when} | {k.ends or 'a person acknowledges'} | {k.to_do} |"
        for k in KINDS
    ]
    return "\n".join(lines) + "\n"
