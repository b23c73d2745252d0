"""What an archived run says about itself, in one JSON file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from kitepilot.ports import LogError, LogRecord

CARD = "card.json"
FORMAT = 1


class TopicCard(msgspec.Struct, frozen=True, kw_only=True):
    """One topic-partition 0: offsets `start` up to `end`, `records` of which are in the file.

    `gaps` are offsets that the log did not have, as first and last; without them records = end - start.
    `sha256` (hex) is over every record in order, see `Digest`.
    """

    start: int
    end: int
    records: int
    value_bytes: int
    sha256: str
    gaps: tuple[tuple[int, int], ...] = ()


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `code_hash` is of the sources that decided; `offline_model` is "" when none scored."""

    format: int
    run_id: str
    session_date: str
    mode: str
    log_kind: str
    config_hash: str
    code_version: str
    code_hash: str
    offline_model: str
    concluded: bool  # the day came to its end in order; False: it was cut short and kept later
    topics: dict[str, TopicCard]


class Digest:
    """SHA-256 over offset (8 bytes), length (4 bytes), both big-endian, and value of each record."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def add(self, record: LogRecord) -> None:
        self._sha.update(record.offset.to_bytes(8, "big") + len(record.value).to_bytes(4, "big"))
        self._sha.update(record.value)

    def hex(self) -> str:
        return self._sha.hexdigest()


def write_card(folder: Path, card: Card) -> None:
    (folder / CARD).write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")


def read_card(folder: Path) -> Card:
    """Raises `LogError`: no card, not one of ours, or of a newer format."""
    path = folder / CARD
    try:
        card = msgspec.json.decode(path.read_bytes(), type=Card)
    except OSError as err:
        raise LogError(f"cannot read the archive's card {path}: {err.strerror}") from err
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise LogError(f"{path} is not the card of an archived run: {err}") from err
    if card.format != FORMAT:
        raise LogError(f"{path} has format {card.format}, this version reads {FORMAT}: use a newer KitePilot")
    return card
