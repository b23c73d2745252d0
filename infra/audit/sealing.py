"""Seals the chain as it ends now, and keeps each seal twice: in PostgreSQL, and as a file in the home.

The file is what a rewritten database is caught by; copy `seals` to another machine and it catches the
owner of this one too.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

import kitepilot
from infra.audit.seal_key import SEALS, SealKey, note_public_key
from infra.audit.trail import Trail
from kitepilot.audit.records import Head
from kitepilot.audit.seals import Seal, SealedStream, Statement, text_of


class SealFileError(RuntimeError):
    """A seal's file is damaged; names it."""


def seal_run(
    trail: Trail, key: SealKey, home: Path, *, run_id: str, session_date: str, now: int
) -> Seal | None:
    """A seal over everything recorded since the last one; None where nothing was. `now` in ns UTC.

    Its file is written, and those of earlier seals that a crash left without one are not: `repair_files`.
    """
    streams = tuple(
        SealedStream(
            topic=stream.topic,
            first_offset=stream.first_offset,
            next_offset=stream.next_offset,
            records=stream.records,
            digest=stream.digest.hex(),
        )
        for stream in trail.streams_of(run_id)
        if run_id
    )

    def make(head: Head, last: Seal | None) -> Seal | None:
        before = last.read() if last else None
        if head.seq == (before.last_seq if before else 0):
            return None
        statement = Statement(
            number=before.number + 1 if before else 1,
            previous=last.fingerprint if last else "",
            run_id=run_id,
            session_date=session_date,
            sealed_at=now,
            first_seq=before.last_seq + 1 if before else 1,
            last_seq=head.seq,
            root=head.hash.hex(),
            streams=streams,
            code_version=kitepilot.__version__,
        )
        return signed(statement, key)

    note_public_key(home, key.public)
    seal = trail.seal(make)
    if seal is not None:
        write_file(home, seal)
    return seal


def signed(statement: Statement, key: SealKey) -> Seal:
    """The statement under the key's signature."""
    bare = Seal(statement=text_of(statement), signature="", public_key=key.public.hex())
    return msgspec.structs.replace(bare, signature=key.sign(bare.signed).hex())


def file_of(home: Path, statement: Statement) -> Path:
    """`<home>/seals/2026-11-20-paper-20261120-0001.000007.json`; the number is the seal's."""
    run = f"-{statement.run_id}" if statement.run_id else ""
    return home / SEALS / f"{statement.session_date}{run}.{statement.number:06d}.json"


def write_file(home: Path, seal: Seal) -> Path:
    """Durable on return; replaces nothing that says something else.

    Raises:
        SealFileError: another seal of that number is there.
    """
    path = file_of(home, seal.read())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        if read_file(path) != seal:
            raise SealFileError(f"{path} holds another seal than the audit: run `kitepilot verify-audit`")
        return path
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(seal), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return path


def read_file(path: Path) -> Seal:
    """Raises `SealFileError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Seal)
    except (OSError, msgspec.MsgspecError) as err:
        raise SealFileError(f"{path} is no seal: {err}") from err


def read_files(home: Path) -> dict[Path, Seal]:
    """The seals that lie in the home.

    Raises:
        SealFileError: one of them is damaged.
    """
    paths = sorted((home / SEALS).glob("*.json"))
    return {path: read_file(path) for path in paths}


def repair_files(home: Path, seals: list[Seal]) -> int:
    """Write the files that are missing; returns how many. Raises `SealFileError` as `write_file`."""
    missing = [seal for seal in seals if not file_of(home, seal.read()).exists()]
    for seal in missing:
        write_file(home, seal)
    return len(missing)
