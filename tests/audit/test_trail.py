"""The audit in a real PostgreSQL: append-only, gap-free, sealed, and found out when it was touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import msgspec
import psycopg
import pytest
import sqlalchemy as sa
from written import entry

from infra.audit import export_file, sealing, verification
from infra.audit.reading import AuditBook, open_book
from infra.audit.seal_key import PUBLIC_KEYS, SEALS, SealKey, open_key
from infra.audit.trail import Trail, TrailError
from infra.audit.verification import ScopeError, verify_book, verify_file
from kitepilot import config as configuration
from kitepilot.audit.records import Entry
from kitepilot.audit.seals import Seal
from kitepilot.audit.streams import Stream

pytestmark = pytest.mark.stack

DAY = "2026-11-20"


@pytest.fixture
def trail(url: str) -> Iterator[Trail]:
    trail = Trail(url, clock=lambda: 5)
    yield trail
    trail.close()


@pytest.fixture
def book(url: str) -> Iterator[AuditBook]:
    with open_book(url) as opened:
        yield opened


@pytest.fixture
def key(tmp_path: Path) -> SealKey:
    return open_key(configuration.Config(), tmp_path)


def touch(url: str, *statements: str) -> None:
    """What a superuser can do who takes the triggers off."""
    plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as db:
        db.execute("ALTER TABLE audit DISABLE TRIGGER ALL")
        db.execute("ALTER TABLE audit_seals DISABLE TRIGGER ALL")
        for statement in statements:
            db.execute(statement)


def day(trail: Trail, key: SealKey, home: Path, first: int, count: int, run_id: str = "paper-1") -> Seal:
    trail.append([entry(number, run_id=run_id) for number in range(first, first + count)])
    seal = sealing.seal_run(trail, key, home, run_id=run_id, session_date=DAY, now=7)
    assert seal is not None
    return seal


def flaw_of(book: AuditBook, home: Path, **scope: str) -> tuple[str, int, int] | None:
    flaw = verify_book(book, home, **scope).flaw
    return (flaw.what, flaw.seq, flaw.number) if flaw else None


CHANGES = ("UPDATE {} SET run_id = 'x'", "DELETE FROM {}", "TRUNCATE {}", "DELETE FROM {} WHERE false")


def test_the_database_refuses_to_change_what_was_written(
    trail: Trail, key: SealKey, tmp_path: Path, url: str
) -> None:
    """Nor does it for a session that calls itself a replica, which skips ordinary triggers."""
    day(trail, key, tmp_path, 0, 2)
    plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as db:
        for role, table, change in product(("origin", "replica"), ("audit", "audit_seals"), CHANGES):
            db.execute(f"SET session_replication_role = {role}")
            with pytest.raises(psycopg.IntegrityError, match="append-only"):
                db.execute(change.format(table))


def test_several_writers_at_once_leave_one_chain_without_gaps(
    url: str, book: AuditBook, tmp_path: Path
) -> None:
    def write(writer: int) -> None:
        mine = Trail(url)
        for number in range(20):
            mine.append([entry(100 * writer + number), entry(number)])
        mine.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    verdict = verify_book(book, tmp_path)
    assert verdict.flaw is None
    assert (verdict.records, verdict.first_seq, verdict.last_seq) == (160, 1, 160)


def test_a_transaction_that_fails_leaves_neither_rows_nor_offsets(trail: Trail, book: AuditBook) -> None:
    here = Stream(log="l", topic="t", turn=0, run_id="r", first_offset=0, next_offset=3)
    trail.append([entry(0)], [here], {("l", "t"): None}, {("r", "t", "s"): 4})
    after = msgspec.structs.replace(here, next_offset=5)
    with pytest.raises(TrailError, match="another process"):
        trail.append([entry(1)], [after], {("l", "t"): None}, {("r", "t", "s"): 9})
    assert book.last_seq() == 1
    assert trail.positions(["l"]) == {("l", "t"): here}
    assert trail.last_of("r") == {("r", "t", "s"): 4}
    trail.append([entry(1)], [after], {("l", "t"): here})
    assert book.last_seq() == 2


def test_sealed_days_verify_whole_by_run_and_by_day(
    trail: Trail, key: SealKey, book: AuditBook, tmp_path: Path
) -> None:
    first = day(trail, key, tmp_path, 0, 3)
    day(trail, key, tmp_path, 3, 4, run_id="paper-2")
    verdict = verify_book(book, tmp_path)
    assert (verdict.flaw, verdict.records, verdict.seals, verdict.unsealed) == (None, 7, 2, 0)
    assert verdict.days == [DAY] and verdict.notes == []
    second = verify_book(book, tmp_path, run_id="paper-2")
    assert (second.flaw, second.first_seq, second.last_seq, second.seals) == (None, 4, 7, 1)
    assert verify_book(book, tmp_path, session_date=DAY).records == 7
    assert sealing.read_file(sealing.file_of(tmp_path, first.read())) == first
    with pytest.raises(ScopeError, match="paper-1, paper-2"):
        verify_book(book, tmp_path, run_id="paper-9")


def test_nothing_new_needs_no_seal(trail: Trail, key: SealKey, tmp_path: Path) -> None:
    day(trail, key, tmp_path, 0, 3)
    assert sealing.seal_run(trail, key, tmp_path, run_id="paper-1", session_date=DAY, now=8) is None


def test_records_without_a_seal_are_a_flaw_of_their_run_and_a_remark_on_the_whole(
    trail: Trail, key: SealKey, book: AuditBook, tmp_path: Path
) -> None:
    day(trail, key, tmp_path, 0, 3)
    trail.append([entry(9, run_id=""), entry(10, run_id="paper-2"), entry(11, run_id="paper-2")])
    whole = verify_book(book, tmp_path)
    assert (whole.flaw, whole.records, whole.unsealed) == (None, 6, 3)
    assert flaw_of(book, tmp_path, run_id="paper-2") == ("unsealed", 4, 0)


TAMPERINGS = {
    "a changed body": (["UPDATE audit SET body = '{}' WHERE seq = 4"], ("altered", 4, 0)),
    "a changed time": (["UPDATE audit SET recorded_at = 6 WHERE seq = 2"], ("altered", 2, 0)),
    "a dropped row": (["DELETE FROM audit WHERE seq = 5"], ("missing", 5, 0)),
    "the first row dropped": (["DELETE FROM audit WHERE seq = 1"], ("missing", 1, 0)),
    "an end cut off": (["DELETE FROM audit WHERE seq > 5"], ("truncated", 6, 2)),
    "an end cut off with its seal": (
        ["DELETE FROM audit WHERE seq > 3", "DELETE FROM audit_seals WHERE number = 2"], ("lost_seal", 0, 2),
    ),
    "everything gone": (["DELETE FROM audit", "DELETE FROM audit_seals"], ("lost_seal", 0, 1)),
    "two rows in each other's place": (
        ["UPDATE audit SET seq = 99 WHERE seq = 2", "UPDATE audit SET seq = 2 WHERE seq = 3",
         "UPDATE audit SET seq = 3 WHERE seq = 99"], ("altered", 2, 0),
    ),
    "a changed seal": (
        ["UPDATE audit_seals SET statement = replace(statement, 'paper-1', 'paper-7') WHERE number = 1"],
        ("bad_signature", 0, 1),
    ),
    "a seal without its rows": (["DELETE FROM audit WHERE seq <= 3"], ("missing", 1, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_whoever_gets_past_the_triggers_is_found_out(
    trail: Trail, key: SealKey, book: AuditBook, tmp_path: Path, url: str, name: str
) -> None:
    day(trail, key, tmp_path, 0, 3)
    day(trail, key, tmp_path, 3, 4)
    statements, found = TAMPERINGS[name]
    touch(url, *statements)
    assert flaw_of(book, tmp_path) == found


def rewrite(trail: Trail, url: str, forged: list[Entry]) -> None:
    touch(url, "DELETE FROM audit", "DELETE FROM audit_seals")
    trail.append(forged)


def test_a_database_made_anew_and_sealed_with_a_new_key_is_caught_by_the_files_and_the_key(
    trail: Trail, key: SealKey, book: AuditBook, tmp_path: Path, url: str
) -> None:
    day(trail, key, tmp_path / "home", 0, 3)
    rewrite(trail, url, [entry(7), entry(8), entry(9)])
    thief = open_key(configuration.Config(), tmp_path / "thief")
    sealing.seal_run(trail, thief, tmp_path / "thief", run_id="paper-1", session_date=DAY, now=7)
    assert flaw_of(book, tmp_path / "home") == ("bad_signature", 0, 1)
    (tmp_path / "home" / SEALS / PUBLIC_KEYS).write_bytes(
        (tmp_path / "thief" / SEALS / PUBLIC_KEYS).read_bytes()
    )
    assert flaw_of(book, tmp_path / "home") == ("bad_seal", 0, 1)  # the file says otherwise


def test_a_chain_made_anew_under_the_old_seals_has_another_end(
    trail: Trail, key: SealKey, book: AuditBook, tmp_path: Path, url: str
) -> None:
    day(trail, key, tmp_path, 0, 3)
    touch(url, "DELETE FROM audit")
    trail.append([entry(0), entry(9), entry(2)])
    assert flaw_of(book, tmp_path) == ("rewritten", 1, 1)


def test_a_seal_file_that_a_crash_left_out_is_noted_and_written_again(
    trail: Trail, key: SealKey, book: AuditBook, tmp_path: Path
) -> None:
    seal = day(trail, key, tmp_path, 0, 3)
    path = sealing.file_of(tmp_path, seal.read())
    path.unlink()
    verdict = verify_book(book, tmp_path)
    assert verdict.flaw is None and "1 seals have no file" in verdict.notes[0]
    assert sealing.repair_files(tmp_path, book.seals()) == 1
    assert verify_book(book, tmp_path).notes == []


def test_a_key_may_be_changed_and_earlier_seals_still_hold(
    trail: Trail, key: SealKey, book: AuditBook, tmp_path: Path
) -> None:
    day(trail, key, tmp_path, 0, 3)
    (tmp_path / SEALS / "paper.key").unlink()
    day(trail, open_key(configuration.Config(), tmp_path), tmp_path, 3, 3)
    assert verify_book(book, tmp_path).flaw is None


@pytest.fixture
def exported(trail: Trail, key: SealKey, book: AuditBook, tmp_path: Path) -> Path:
    day(trail, key, tmp_path, 0, 3)
    day(trail, key, tmp_path, 3, 4)
    path = tmp_path / "audit.jsonl"
    assert export_file.write(path, book.head_before(3), book.records(3), book.seals()) == 5
    return path


def test_an_exported_file_is_readable_and_verifies_without_the_database(
    exported: Path, tmp_path: Path
) -> None:
    verdict = verify_file(exported, tmp_path)
    assert (verdict.flaw, verdict.records, verdict.first_seq, verdict.seals) == (None, 5, 3, 2)
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert [line["line"] for line in lines] == ["begin", "record", "seal", *["record"] * 4, "seal", "end"]
    assert lines[1]["body"] == {"seq": 2}
    elsewhere = verify_file(exported, tmp_path / "elsewhere")
    assert elsewhere.flaw is None and "proves little" in elsewhere.notes[0]
    given = verify_file(exported, tmp_path / "elsewhere", tmp_path / SEALS / PUBLIC_KEYS)
    assert given.flaw is None and given.notes == []


def test_any_byte_changed_and_any_line_moved_in_an_export_is_found(exported: Path, tmp_path: Path) -> None:
    """Every byte of the file, and every line dropped, doubled, or changed with the next."""
    raw = exported.read_bytes()
    lines = raw.splitlines(keepends=True)
    changed = tmp_path / "changed.jsonl"

    def found(content: bytes) -> verification.Verdict:
        changed.write_bytes(content)
        return verify_file(changed, tmp_path)

    assert found(raw).flaw is None
    for at in range(0, len(raw), 3):
        flaw = found(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]).flaw
        assert flaw is not None, raw[max(0, at - 40) : at + 40]
    for at in range(len(lines)):
        assert found(b"".join(lines[:at] + lines[at + 1 :])).flaw is not None, at
        assert found(b"".join(lines[: at + 1] + lines[at:])).flaw is not None, at
        assert found(b"".join(lines[:at])).flaw is not None, at
    for at in range(len(lines) - 1):
        assert found(b"".join([*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]])).flaw is not None, at
    flaw = found(raw.replace(b'{"seq":5}', b'{"seq":6}')).flaw
    assert flaw is not None and (flaw.what, flaw.seq) == ("altered", 6)
