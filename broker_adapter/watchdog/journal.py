"""What the watchdog does -> lines of a file in the run's folder, each durable before it is acted on.

It must work when nothing else does, so it is no database. `kitepilot` reads it, and `mirror` copies it to
PostgreSQL when there is one. A torn last line (the machine died while it was written) was never acted on.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from broker_adapter.watchdog.reserve import Reserve
from kitepilot.events import ApprovedIntent

FILE = "watchdog.jsonl"
ORDER_KINDS = ("sending", "accepted", "rejected", "throttled", "login_needed", "unknown", "absent")


class Child(NamedTuple):
    """One order of an intent."""

    tag: str
    quantity: int


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened. `at` is machine ns, `session_at` session ns.

    `kind` is fence | alarm | flat | cancel, or for an order one of `ORDER_KINDS`; an order names the run, the
    configuration and the reason it is for.
    """

    seq: int
    at: int
    session_at: int
    kind: str
    run_id: str
    detail: str = ""
    reason: str = ""
    config_hash: str = ""
    intent_id: str = ""
    tag: str = ""
    order_id: str = ""
    token: int = 0
    tradingsymbol: str = ""
    side: str = ""
    quantity: int = 0
    protection_bps: int = 0


class Journal:
    """The file of one run. Raises OSError when a line cannot be made durable: then nothing may be sent."""

    def __init__(self, folder: Path, run_id: str, reserve: Reserve | None = None) -> None:
        self._reserve = reserve or Reserve(folder)
        self.path = folder / FILE
        self._run_id = run_id
        self.earlier = read(self.path)
        self._seq = self.earlier[-1].seq + 1 if self.earlier else 0
        self._file = self.path.open("ab")
        if self._file.tell() and not self.path.read_bytes().endswith(b"\n"):
            self._file.write(b"\n")

    def close(self) -> None:
        self._file.close()

    def write(
        self, kind: str, at: int, session_at: int, detail: str = "", *, order_id: str = "", tag: str = ""
    ) -> None:
        """Something besides the sending of an order of the watchdog's."""
        self._append(
            Line(
                seq=self._seq,
                at=at,
                session_at=session_at,
                kind=kind,
                run_id=self._run_id,
                detail=detail,
                order_id=order_id,
                tag=tag,
            )
        )

    def order(
        self,
        kind: str,
        intent: ApprovedIntent,
        child: Child,
        at: int,
        why: str,
        *,
        order_id: str = "",
        detail: str = "",
    ) -> None:
        """A step of one child order that leaves because of `why`."""
        self._append(
            Line(
                seq=self._seq,
                at=at,
                session_at=intent.event_at,
                kind=kind,
                run_id=self._run_id,
                config_hash=intent.config_hash,
                intent_id=intent.intent_id,
                tag=child.tag,
                token=intent.token,
                tradingsymbol=intent.tradingsymbol,
                side=intent.side.value,
                quantity=child.quantity,
                protection_bps=intent.protection_bps,
                order_id=order_id,
                detail=detail,
                reason=why,
            )
        )

    def _append(self, line: Line) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._reserve.write(self._settle)
        self._seq += 1

    def _settle(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


def read(path: Path) -> list[Line]:
    """All whole lines; none without a file."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = []
    for text in raw.splitlines():
        try:
            lines.append(msgspec.json.decode(text, type=Line))
        except msgspec.DecodeError:
            continue  # torn: it was never acted on
    return lines
