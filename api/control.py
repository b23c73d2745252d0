"""The owner's commands over HTTP -> `session`; and a flatten the log does not take -> the watchdog.

Whoever holds the token that lies in the home (mode 0600, drawn at the first start) may stop trading, and not
start it: the token is also given to what reads metrics, and a step-up would ask nothing of a program. A
command counts once, by the id its sender gave it: asking again after a lost reply changes nothing.
"""

from __future__ import annotations

import hmac
import os
import secrets
import threading
import time
from collections import OrderedDict
from pathlib import Path

import msgspec

from infra.fence import Fence, Wish, ask
from kitepilot.events import Commanded, ProfileActivated, RiskProfile, encode
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run
from kitepilot.topics import SESSION

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


def token_of(home: Path) -> str:
    """The bearer token of this home, drawn when there is none. Raises OSError."""
    path = home / TOKEN_FILE
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(32))
    return path.read_text()


class ControlDesk:
    """Takes commands from any thread."""

    def __init__(self, run: Run, log: EventLog, token: str) -> None:
        self._run = run
        self._log = log
        self._token = token
        self._turn = threading.Lock()
        self._seen: OrderedDict[str, str] = OrderedDict()
        self._source = f"api-control-{time.time_ns()}"
        self._seq = 0

    def permits(self, authorization: str) -> bool:
        """Whether the `Authorization` header carries the token."""
        return hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode())

    def take(self, name: str, body: bytes) -> tuple[int, dict[str, str]]:
        """HTTP status and what became of it: said | watchdog | repeated | refused and why."""
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
        with self._turn:
            return self._once(name, wanted)

    def _once(self, name: str, wanted: Asked) -> tuple[int, dict[str, str]]:
        known = self._seen.get(wanted.command_id)
        if known is not None:
            same = known == name
            return (200, {"status": "repeated"}) if same else (409, _refused(f"this id was a {known}"))
        code, told = self._obey(name, wanted)
        if code == 200:
            self._seen[wanted.command_id] = name
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return code, told

    def obey(self, name: str, wanted: Asked, by: str, argument: str = "") -> tuple[int, dict[str, str]]:
        """As `take`, for one who may; what is said twice under one id the decisions hear once."""
        with self._turn:
            return self._obey(name, wanted, by, argument)

    def activate(self, profile: RiskProfile, command_id: str, by: str, reason: str) -> None:
        """Say that a version of the risk profile is in force. Raises `LogError`, `OSError`."""
        with self._turn:
            now = time.time_ns()
            said = ProfileActivated(
                source=self._source,
                seq=self._seq,
                event_at=now,
                command_id=command_id,
                profile=profile,
                by=by,
                reason=reason,
            )
            self._log.append(SESSION.name, [encode(said, emitted_at=now)])
            self._seq += 1

    def _obey(
        self, name: str, wanted: Asked, by: str = "api", argument: str = ""
    ) -> tuple[int, dict[str, str]]:
        if name == "resume" and Fence(self._run.folder).stands():
            return 409, _refused(
                "the watchdog's fence stands: `kitepilot resume` lowers it over a flat account"
            )
        if name == "flatten" and wanted.now:
            return self._ask_watchdog(wanted, by)
        try:
            self._say(name, wanted, by, argument)
        except (LogError, OSError) as err:
            if name == "flatten":
                return self._ask_watchdog(wanted, by)
            return 503, _refused(f"the log does not take it: {err}")
        return 200, {"status": "said"}

    def _say(self, name: str, wanted: Asked, by: str, argument: str) -> None:
        now = time.time_ns()
        said = Commanded(
            source=self._source,
            seq=self._seq,
            event_at=now,
            command_id=wanted.command_id,
            command=name,
            argument=argument,
            by=f"{by}: {wanted.reason}" if wanted.reason else by,
        )
        self._log.append(SESSION.name, [encode(said, emitted_at=now)])
        self._seq += 1

    def _ask_watchdog(self, wanted: Asked, by: str) -> tuple[int, dict[str, str]]:
        wish = Wish(command_id=wanted.command_id, by=by, reason=wanted.reason, at=time.time_ns())
        try:
            ask(self._run.folder, wish)
        except OSError as err:
            return 503, _refused(f"neither the log nor the watchdog can be told: {err}")
        return 200, {"status": "watchdog"}


def _refused(why: str) -> dict[str, str]:
    return {"status": "refused", "reason": why}
