"""What the online model had learned by the end of a day, as one file that the next day may begin with.

The file is named by its content, and a run's configuration by that name, so a replay of the day begins with
the same knowledge or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from kitepilot.models.port import ModelError

VERSION = 1
FOLDER = "online"  # within the folder of models
SUFFIX = "state"


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: the model's own snapshot. `features`: the columns it learned from, in their order."""

    version: int = VERSION
    mode: str
    kind: str
    session_date: str
    features: tuple[str, ...]
    state: bytes


class Name(NamedTuple):
    """A file name: <mode>_<kind>_<date>_<sha256>.state; dates sort as text."""

    session_date: str
    mode: str
    kind: str
    sha256: str


def pack(carried: Carried) -> tuple[str, bytes]:
    """File name and content."""
    raw = msgspec.msgpack.encode(carried)
    digest = hashlib.sha256(raw).hexdigest()
    return f"{carried.mode}_{carried.kind}_{carried.session_date}_{digest}.{SUFFIX}", raw


def unpack(raw: bytes, sha256: str, kind: str, features: Sequence[str]) -> bytes:
    """The state for `OnlineModel.restore`.

    Raises:
        ModelError: not the content that was named, another kind of model, or other features.
    """
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise ModelError(f"models.carry: the file of {sha256[:16]} has another content; begin anew with ''")
    try:
        carried = msgspec.msgpack.decode(raw, type=Carried)
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise ModelError(f"models.carry: {sha256[:16]} is no state of an online model: {err}") from err
    if (carried.version, carried.kind, carried.features) != (VERSION, kind, tuple(features)):
        raise ModelError(
            f"models.carry: {sha256[:16]} is of {carried.kind}, {carried.session_date}, and learned from "
            "other features than there are now, or in another form; begin anew with ''"
        )
    return carried.state


def read_name(name: str) -> Name | None:
    """None for a file that is not one of these."""
    parts = name.removesuffix(f".{SUFFIX}").split("_")
    if len(parts) < 4 or not name.endswith(f".{SUFFIX}"):
        return None
    mode, *kind, session_date, digest = parts
    return Name(session_date, mode, "_".join(kind), digest)


def earlier(names: Iterable[str], mode: str, kind: str, session_date: str) -> list[str]:
    """Of the given file names those of the same mode and kind and of days before, the newest day first.

    Names of the same day keep their order.
    """
    known = [(found, name) for name in names if (found := read_name(name))]
    fitting = [
        (found.session_date, name)
        for found, name in known
        if (found.mode, found.kind) == (mode, kind) and found.session_date < session_date
    ]
    return [name for _, name in sorted(fitting, key=lambda each: each[0], reverse=True)]
