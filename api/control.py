"""The owner's commands over HTTP -> `session`; and a flatten the log does not take -> the watchdog.

Whoever holds the token that lies in the home (mode 0600, drawn at the first start) may stop trading, and not
start it: a step-up would ask nothing of a program. What reads metrics has a token of its own. A
command counts once, by the id its sender gave it: asking again after a lost reply changes nothing.
"""

from __future__ import annotations

import hmac
import os
import secrets
import threading
import time
from collections import OrderedDict
from functools import partial
from pathlib import Path

import msgspec

from api.voice import OutcomeUnknownError, Voice
from infra.fence import Fence, Wish, ask
from kitepilot.events import Commanded, ProfileActivated, RiskProfile
from kitepilot.ports import EventLog, LogError
from kitepilot.reloading import COMMAND
from kitepilot.run import Run

TOKEN_FILE = "api.token"  # noqa: S105 the name of the file
COMMANDS = ("flatten", "halt", "reduce")
MAX_BYTES = 4_096
MAX_ID = 64
REMEMBERED = 1_024  # command ids


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body. `now`: flatten through the watchdog at once, past the decisions."""

    command_id: str
    reason: str = ""
    now: bool = False


def token_of(home: Path, name: str = TOKEN_FILE) -> str:
    """The bearer token of this home in the file of that name, drawn when there is none. Raises OSError."""
    path = home / name
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(32))
    return path.read_text()


class ControlDesk:
    """Takes commands from any thread; none waits longer than two seconds for the log."""

    def __init__(self, run: Run, log: EventLog, token: str) -> None:
        self._run = run
        self._voice = Voice(log, "api-control")
        self._token = token
        self._turn = threading.Lock()  # held for no I/O
        self._seen: OrderedDict[str, str] = OrderedDict()

    def close(self) -> None:
        """Nothing more is said."""
        self._voice.close()

    def permits(self, authorization: str) -> bool:
        """Whether the `Authorization` header carries the token."""
        return hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode())

    def take(self, name: str, body: bytes) -> tuple[int, dict[str, str]]:
        """HTTP status and what became of it: said | watchdog | repeated | unknown | refused, and why."""
        if name == "resume":
            return 403, _refused(
                "the token stops trading and starts none: `kitepilot resume`, or the console"
            )
        if name not in COMMANDS:
            return 404, _refused(f"no command {name!r}: {', '.join(COMMANDS)}")
        if len(body) > MAX_BYTES:
            return 413, _refused(f"more than {MAX_BYTES} bytes")
        try:
            wanted = msgspec.json.decode(body, type=Asked)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as err:
            return 400, _refused(f"not a command: {err}")
        if not 0 < len(wanted.command_id) <= MAX_ID:
            return 400, _refused(f"command_id must have 1 to {MAX_ID} characters")
        return self._once(name, wanted)

    def _once(self, name: str, wanted: Asked) -> tuple[int, dict[str, str]]:
        """Two at once may both be said: the decisions count a command once by its id."""
        with self._turn:
            known = self._seen.get(wanted.command_id)
        if known is not None:
            same = known == name
            return (200, {"status": "repeated"}) if same else (409, _refused(f"this id was a {known}"))
        code, told = self.obey(name, wanted)
        if code == 200:
            with self._turn:
                self._seen[wanted.command_id] = name
                if len(self._seen) > REMEMBERED:
                    self._seen.popitem(last=False)
        return code, told

    def activate(self, profile: RiskProfile, command_id: str, by: str, reason: str) -> None:
        """Say that a version of the risk profile is in force. Raises as `Voice.say`."""
        said = partial(ProfileActivated, command_id=command_id, profile=profile, by=by, reason=reason)
        self._voice.say(lambda source, seq, at: said(source=source, seq=seq, event_at=at))

    def reconfigure(self, command_id: str, digest: str, by: str) -> None:
        """Say that a configuration that was kept is in force. Raises as `Voice.say`."""
        said = partial(Commanded, command_id=command_id, command=COMMAND, argument=digest, by=by)
        self._voice.say(lambda source, seq, at: said(source=source, seq=seq, event_at=at))

    def obey(
        self, name: str, wanted: Asked, by: str = "api", argument: str = ""
    ) -> tuple[int, dict[str, str]]:
        """As `take`, for one who may; what is said twice under one id the decisions hear once."""
        if name == "resume" and Fence(self._run.folder).stands():
            return 409, _refused(
                "the watchdog's fence stands: `kitepilot resume` lowers it over a flat account"
            )
        if name == "flatten" and wanted.now:
            return self._ask_watchdog(wanted, by)
        try:
            self._say(name, wanted, by, argument)
        except (LogError, OSError) as err:
            return self._ask_watchdog(wanted, by) if name == "flatten" else _not_said(err)
        return 200, {"status": "said"}

    def _say(self, name: str, wanted: Asked, by: str, argument: str) -> None:
        by = f"{by}: {wanted.reason}" if wanted.reason else by
        said = partial(Commanded, command_id=wanted.command_id, command=name, argument=argument, by=by)
        self._voice.say(lambda source, seq, at: said(source=source, seq=seq, event_at=at))

    def _ask_watchdog(self, wanted: Asked, by: str) -> tuple[int, dict[str, str]]:
        wish = Wish(command_id=wanted.command_id, by=by, reason=wanted.reason, at=time.time_ns())
        try:
            ask(self._run.folder, wish)
        except OSError as err:
            return 503, _refused(f"neither the log nor the watchdog can be told: {err}")
        return 200, {"status": "watchdog"}


def _not_said(err: Exception) -> tuple[int, dict[str, str]]:
    if isinstance(err, OutcomeUnknownError):
        return 503, {"status": "unknown", "reason": f"{err}: the command may or may not be recorded"}
    return 503, _refused(f"the log does not take it: {err}")


def _refused(why: str) -> dict[str, str]:
    return {"status": "refused", "reason": why}
