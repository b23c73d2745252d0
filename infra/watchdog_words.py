"""The last line of the watchdog's journal, for those who do not trade. Its format is the watchdog's own."""

from __future__ import annotations

from pathlib import Path

import msgspec

FILE = "watchdog.jsonl"
TAIL_BYTES = 8_192  # a line has less than a kilobyte


class Said(msgspec.Struct, frozen=True):
    """`kind` and `detail` of `broker_adapter.watchdog.journal.Line`."""

    kind: str
    detail: str = ""


def last_alarm(folder: Path) -> str:
    """What it called a person for; "" when its last word was another one, or there is none."""
    try:
        with (folder / FILE).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - TAIL_BYTES, 0))
            lines = file.read().split(b"\n")[:-1]
        said = msgspec.json.decode(lines[-1], type=Said)
    except (OSError, IndexError, msgspec.DecodeError):
        return ""
    return said.detail if said.kind == "alarm" else ""
