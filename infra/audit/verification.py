"""Holds the audit against its seals: signatures first, then files against rows, then every record's hash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from infra.audit.export_file import ExportReader
from infra.audit.reading import AuditBook
from infra.audit.seal_key import PUBLIC_KEYS, SEALS, read_public_keys, signature_trouble
from infra.audit.sealing import SealFileError, read_files
from kitepilot.audit.chain import Flaw, Verifier, seal_flaw
from kitepilot.audit.records import Head, Record
from kitepilot.audit.seals import Seal, Statement

Step = Callable[[int], None]


@dataclass
class Verdict:
    """What a verification came to. `flaw` None: all is as it was written. Notes are no flaws."""

    flaw: Flaw | None = None
    records: int = 0
    first_seq: int = 0
    last_seq: int = 0
    root: str = ""
    seals: int = 0
    sealed_to: int = 0
    days: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def unsealed(self) -> int:
        """Records after the last seal."""
        return max(0, self.last_seq - self.sealed_to)


class ScopeError(ValueError):
    """There is nothing to verify under that name; says what there is."""


def known_keys(home: Path, given: Path | None, seals: list[Seal], verdict: Verdict) -> frozenset[bytes]:
    """The keys that seals must be signed with: the given ones, else the home's, else (noted) their own.

    Raises:
        SecretError: the file given cannot be used.
    """
    place = home / SEALS / PUBLIC_KEYS
    if given is not None or place.exists():
        return read_public_keys(given or place)
    if seals:
        verdict.notes.append(
            f"no public key in {place}: the signatures are held against the keys beside them, which proves "
            "little; give the right one with --public-key"
        )
    return frozenset(bytes.fromhex(seal.public_key) for seal in seals if _is_key(seal.public_key))


def verify_book(
    book: AuditBook,
    home: Path,
    *,
    run_id: str = "",
    session_date: str = "",
    public_key: Path | None = None,
    step: Step = lambda _: None,
) -> Verdict:
    """The whole audit, or the seals of a run or day with all they cover. `step` hears of each 1,000 records.

    Raises:
        ScopeError: no such run or day. SecretError: no usable public key.
    """
    verdict, seals = Verdict(), book.seals()
    keys = known_keys(home, public_key, seals, verdict)
    verdict.flaw = seal_flaw(seals, lambda seal: signature_trouble(seal, keys))
    verdict.flaw = verdict.flaw or _against_files(home, seals, verdict)
    if verdict.flaw is not None:
        return verdict
    said = [seal.read() for seal in seals]
    scope = bool(run_id or session_date)
    due, first, last = _scope(book, said, run_id, session_date) if scope else (said, 1, None)
    _run(verdict, book.records(first, last), due, _head(said, first), step)
    if scope and verdict.flaw is None and verdict.unsealed:
        detail = f"{verdict.unsealed} records have no seal yet: `kitepilot audit seal`"
        verdict.flaw = Flaw("unsealed", verdict.sealed_to + 1, 0, detail)
    return verdict


def verify_file(
    path: Path, home: Path, public_key: Path | None = None, step: Step = lambda _: None
) -> Verdict:
    """An exported file on its own; its seals against the keys known here. Reads it twice.

    Raises:
        SecretError: no usable public key. OSError: the file cannot be read.
    """
    verdict, seals = Verdict(), ExportReader(path)
    seals.begin()
    for _ in seals.records():
        pass
    reader = ExportReader(path)
    reader.begin()
    keys = known_keys(home, public_key, seals.seals, verdict)
    for seal in seals.seals:
        if trouble := signature_trouble(seal, keys):
            verdict.flaw = Flaw("bad_signature", 0, _number(seal), trouble)
            return verdict
    due = [seal.read() for seal in seals.seals]
    # a seal that the file's first record lies within cannot be checked whole; its end still can
    _run(verdict, reader.records(), due, reader.head, step)
    verdict.flaw = verdict.flaw or reader.flaw
    return verdict


def _run(verdict: Verdict, records: Iterable[Record], due: list[Statement], head: Head, step: Step) -> None:
    verifier = Verifier(due, head)
    verdict.flaw = verifier.read(_counted(records, step))
    verdict.records, verdict.seals = verifier.chain.records, verifier.seals
    verdict.first_seq, verdict.last_seq = head.seq + 1, verifier.chain.head.seq
    verdict.sealed_to, verdict.root = verifier.sealed_to, verifier.chain.head.hash.hex()
    verdict.days = sorted({statement.session_date for statement in due})


def _counted(records: Iterable[Record], step: Step) -> Iterator[Record]:
    for number, record in enumerate(records, 1):
        yield record
        if number % 1_000 == 0:
            step(1_000)


def _against_files(home: Path, seals: list[Seal], verdict: Verdict) -> Flaw | None:
    """Each file in the home is a seal of the audit; a seal without a file is only noted."""
    try:
        files = read_files(home)
    except SealFileError as err:
        return Flaw("bad_seal", 0, 0, str(err))
    by_number = {seal.read().number: seal for seal in seals}
    seen = set()
    for path, kept in files.items():
        number = _number(kept)
        seen.add(number)
        if number not in by_number:
            return Flaw("lost_seal", 0, number, f"{path.name} is in the home and not in the audit any more")
        if by_number[number] != kept:
            return Flaw("bad_seal", 0, number, f"the audit has another one than {path.name} in the home")
    if lacking := sorted(by_number.keys() - seen):
        verdict.notes.append(
            f"{len(lacking)} seals have no file in {home / SEALS} (the first: {lacking[0]}); "
            "`kitepilot audit seal` writes them again"
        )
    return None


def _scope(
    book: AuditBook, said: list[Statement], run_id: str, session_date: str
) -> tuple[list[Statement], int, int]:
    """Seals that concern a run or day, and the first and last record to read for it."""
    due = [each for each in said if run_id in ("", each.run_id) and session_date in ("", each.session_date)]
    firsts, lasts = [each.first_seq for each in due], [each.last_seq for each in due]
    if run_id:
        extent = book.extent_of(run_id)
        if extent.rows:
            firsts.append(extent.first_seq)
            lasts.append(extent.last_seq)
    if not firsts:
        known = sorted({each.run_id if run_id else each.session_date for each in said})
        raise ScopeError(
            f"nothing of {run_id or session_date} is in the audit or its seals; there are: "
            f"{', '.join(filter(None, known[-5:])) or 'none'}"
        )
    first, last = min(firsts), max(lasts)
    within = [each for each in said if each.last_seq >= first and each.first_seq <= last]
    # from where a seal ends on: what the first record follows from is never the database's own word
    first = 1 + max((each.last_seq for each in said if each.last_seq < first), default=0)
    return within, first, max([last, *(each.last_seq for each in within)])


def _head(said: list[Statement], first: int) -> Head:
    """What record `first` follows from, by the seal that ends before it; never by the database."""
    for statement in said:
        if statement.last_seq == first - 1:
            return Head(statement.last_seq, bytes.fromhex(statement.root))
    return Head()


def _number(seal: Seal) -> int:
    try:
        return seal.read().number
    except ValueError:
        return 0


def _is_key(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) == 32
    except ValueError:
        return False
