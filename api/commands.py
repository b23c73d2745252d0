"""Commands of people and programs, once each: an Idempotency-Key makes a repetition the same command.

The id of a command is made from who gives it and under which key, so the decisions too, which count a command
once by its id, hear it once, whatever restarts in between.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

import msgspec
from anyio import CapacityLimiter, to_thread

from api.control import Asked, ControlDesk
from api.identity import Principal
from api.problems import Problem

REMEMBERED = 4_096  # keys
MAX_KEY = 100
AT_ONCE = 8  # of each kind
COMMAND_HEADER = "x-command-id"
_REFUSALS = {409: "conflict", 503: "log_unreachable"}


class Accepted(msgspec.Struct, frozen=True):
    """The command was said; its effect is told at `GET /api/v1/commands/{command_id}`.

    `through`: log (to the decisions) | watchdog (which closes everything by itself) | here (done already).
    """

    command_id: str
    through: str = "log"


class Commands:
    """From any thread. `control` says what is to be said.

    Words to the decisions have threads of their own (`lane`): none waits behind what waits for a database.
    """

    def __init__(self, control: ControlDesk) -> None:
        self._control = control
        self._turn = threading.Lock()
        self._seen: OrderedDict[str, tuple[str, Accepted]] = OrderedDict()
        self.lane, self._acts = CapacityLimiter(AT_ONCE), CapacityLimiter(AT_ONCE)

    async def give(
        self,
        name: str,
        principal: Principal,
        key: str | None,
        *,
        reason: str,
        argument: str = "",
        now: bool = False,
        unless: Callable[[], None] = lambda: None,
    ) -> Accepted:
        """Say a word to the decisions, unless that raises; what was said already under the key stands.

        Raises:
            Problem: key_reused, conflict, log_unreachable, outcome_unknown, and what `unless` raises.
        """

        def act(command_id: str) -> Accepted:
            unless()
            return self._say(name, principal, reason, argument, now, command_id)

        what = f"{name} {argument} {now} {reason}"
        return await to_thread.run_sync(self._once, principal, key, what, act, limiter=self.lane)

    async def once(
        self, principal: Principal, key: str | None, what: str, act: Callable[[str], Accepted]
    ) -> Accepted:
        """Do `act` with the command's id, in a thread; under a key that did `what` before, answer as then.

        Raises:
            Problem: key_reused, or what `act` raises.
        """
        return await to_thread.run_sync(self._once, principal, key, what, act, limiter=self._acts)

    def _once(
        self, principal: Principal, key: str | None, what: str, act: Callable[[str], Accepted]
    ) -> Accepted:
        if key is None:
            return act(f"api-{secrets.token_hex(12)}")
        command_id = derived(principal, key)
        with self._turn:
            known = self._seen.get(command_id)
        if known is not None:
            if known[0] != what:
                raise Problem("key_reused", "This Idempotency-Key was used for another command.")
            return known[1]
        answer = act(command_id)  # not under the lock: no flatten waits for another command's disk
        with self._turn:
            self._seen[command_id] = (what, answer)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return answer

    def _say(
        self, name: str, principal: Principal, reason: str, argument: str, now: bool, command_id: str
    ) -> Accepted:
        asked = Asked(command_id=command_id, reason=reason, now=now)
        code, told = self._control.obey(name, asked, principal.name, argument)
        if told["status"] == "unknown":
            raise unknown(command_id)
        if code != 200:
            raise Problem(_REFUSALS.get(code, "unavailable"), told["reason"])
        return Accepted(command_id, "watchdog" if told["status"] == "watchdog" else "log")


def unknown(command_id: str) -> Problem:
    """The log was asked and has not answered."""
    return Problem(
        "outcome_unknown",
        "The log has not answered: the command may or may not be recorded, now or later. Look at "
        f"/api/v1/commands/{command_id}. The same Idempotency-Key asks again and counts once; a flatten does "
        "not wait for the log.",
        headers={COMMAND_HEADER: command_id},
    )


def derived(principal: Principal, key: str) -> str:
    """The id of what he asks for under this key."""
    said = f"{principal.id}\n{key}".encode()
    return f"api-{hashlib.blake2b(said, digest_size=12).hexdigest()}"
