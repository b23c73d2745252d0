"""What a ticker connection should carry: each instrument and its mode, and the commands that say so.

Pure. Kite's server remembers nothing over a reconnect, so ours is the only memory. Commands are text JSON
with tokens as numbers (strings are answered with silence); a bare subscription is in quote mode until the
mode command arrives. At most 3,000 instruments a connection. Source: Kite Connect v3 documentation,
WebSocket streaming, read 2026-07-14.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

MAX_INSTRUMENTS = 3_000
MAX_TOKEN = 2**32 - 1
Mode = Literal["ltp", "quote", "full"]
MODES: frozenset[str] = frozenset(get_args(Mode))


class Subscriptions:
    """Instruments in the order they were added. Every change returns the commands to send."""

    def __init__(self, tokens: Iterable[int] = (), mode: Mode = "full") -> None:
        self._modes: dict[int, Mode] = {}
        self.add(tokens, mode)

    @property
    def modes(self) -> dict[int, Mode]:
        """A copy: token -> mode."""
        return dict(self._modes)

    def add(self, tokens: Iterable[int], mode: Mode) -> list[str]:
        """Subscribe, or change the mode of what is subscribed.

        Raises:
            ValueError: an unknown mode, a token that is none, or more instruments than a connection carries;
                nothing is changed then.
        """
        if mode not in MODES:
            raise ValueError(f"ticker mode {mode!r}: known are {', '.join(sorted(MODES))}")
        wanted = dict.fromkeys(map(_token, tokens), mode)
        total = len(self._modes.keys() | wanted.keys())
        if total > MAX_INSTRUMENTS:
            raise ValueError(
                f"{total} instruments; one ticker connection carries at most {MAX_INSTRUMENTS}: "
                "subscribe fewer, or spread them over a second connection"
            )
        fresh = [token for token in wanted if token not in self._modes]
        self._modes |= wanted
        return [*_command("subscribe", fresh), *_mode_command(mode, list(wanted))]

    def drop(self, tokens: Iterable[int]) -> list[str]:
        """Unsubscribe; what is not subscribed is left out."""
        gone = [token for token in dict.fromkeys(map(int, tokens)) if self._modes.pop(token, None)]
        return _command("unsubscribe", gone)

    def restore(self) -> list[str]:
        """Everything again, for a connection that knows nothing: one subscription, then each mode's group."""
        groups: dict[Mode, list[int]] = {}
        for token, mode in self._modes.items():
            groups.setdefault(mode, []).append(token)
        modes = [command for mode, tokens in groups.items() for command in _mode_command(mode, tokens)]
        return [*_command("subscribe", list(self._modes)), *modes]


def _token(value: int) -> int:
    number = int(value)  # numpy's integers are no JSON
    if not 0 < number <= MAX_TOKEN:
        raise ValueError(f"instrument token {value!r} is not a number Kite uses")
    return number


def _command(action: str, tokens: Sequence[int]) -> list[str]:
    return [json.dumps({"a": action, "v": tokens})] if tokens else []


def _mode_command(mode: Mode, tokens: Sequence[int]) -> list[str]:
    return [json.dumps({"a": "mode", "v": [mode, tokens]})] if tokens else []
