"""Flat before the lights go out: a live run is halted and its positions closed before it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from kitepilot.cli.owner import say
from kitepilot.cli.supervise import SupervisionError
from kitepilot.ports import EventLog

WITHIN_S = 60.0
LOOK_EVERY_S = 0.25
NS_PER_S = 1_000_000_000
Status = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how waiting is done (a test waits faster)."""

    within_s: float = WITHIN_S
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


def flatten(log: EventLog, status: Status, close_at: int, now: int, patience: Patience | None = None) -> None:
    """Say `flatten` and `halt`, then wait until the account is seen flat without a working order.

    `close_at` ends the session, `now` is the moment of asking; both ns UTC.

    Raises:
        SupervisionError: not seen flat in time; says what is open and what to do.
    """
    wait = patience or Patience()
    for name in ("flatten", "halt"):
        say(log, name)
    deadline, seen = wait.monotonic() + wait.within_s, "the API does not answer"
    while True:
        try:
            account = status()
            if is_flat(account, close_at, now):
                return
            seen = f"{account['open_positions']} positions open, {account['working_orders']} orders working"
        except (httpx.HTTPError, ValueError, KeyError) as err:
            seen = f"the API does not answer ({type(err).__name__})"
        if wait.monotonic() >= deadline:
            raise SupervisionError(
                f"not stopped: not seen flat within {wait.within_s:.0f} s ({seen}); look at Kite's positions "
                "and say `kitepilot down` again, or `kitepilot down --leave-positions`"
            )
        wait.sleep(LOOK_EVERY_S)


def is_flat(account: dict[str, Any], close_at: int, asked_at: int) -> bool:
    """Whether `/status` shows nothing open, as of after it was asked for or of the session's end.

    A run that was never marked never decided anything; but an API that has not read the log yet shows no
    mark either.
    """
    if account["open_positions"] or account["working_orders"]:
        return False
    marked_at, lag = _ns(account["session_time"]), account["lag"]
    never_marked = marked_at == 0 and bool(lag) and not any(lag.values())
    return never_marked or marked_at > asked_at or marked_at >= close_at


def _ns(session_time: dict[str, str | None]) -> int:
    text = session_time["utc"]
    return int(datetime.fromisoformat(text).timestamp() * NS_PER_S) if text else 0
