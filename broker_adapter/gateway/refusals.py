"""Refusals that only a person can do something about, so that somebody is told.

What the broker refuses whatever the order is, exits too; what our own second look refuses, which the risk
fold never asks for: something between the two is broken, and nothing more is opened until it was looked at;
and what the watchdog's fence keeps back, for then the watchdog trades.
"""

from __future__ import annotations

from typing import NamedTuple

from broker_adapter.gateway.slicing import GATEWAY_LIMIT
from broker_adapter.gateway.submit import FENCED
from kitepilot.ports import Accepted, AuthLost, Outcome, Rejected

ACCOUNT_CODES = ("ip_refused", "day_cap")  # of `kite.outcomes`
LOGIN = "login_needed"


class Refusal(NamedTuple):
    """An alarm's words. `subject` is the reason's name, `detail` what the broker or the second look said."""

    subject: str
    detail: str
    halts: bool = False


class Refusals:
    """Outcomes in, at most one refusal for each reason until an order is accepted again."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def hear(self, outcome: Outcome) -> Refusal | None:
        """What to raise an alarm about because of this outcome, if anything is new."""
        match outcome:
            case Accepted():
                self._told.clear()
                return None
            case AuthLost(message):
                found = Refusal(LOGIN, message)
            case Rejected(code, message) if code in ACCOUNT_CODES:
                found = Refusal(code, message)
            case Rejected(code, message) if code in (GATEWAY_LIMIT, FENCED):
                found = Refusal(code, message, halts=True)
            case _:
                return None
        if found.subject in self._told:
            return None
        self._told.add(found.subject)
        return found
