"""What the leak gate found, for people, for scripts, and for the gate that promotes a model.

report = LeakReport.from_json(text)
report.passed and report.features_hash == card.features_hash
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import msgspec

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"


@dataclass(frozen=True)
class Where:
    """The first place a check failed: symbol, session (IST date) and minute (IST clock, end of the bar)."""

    symbol: str = ""
    session: str = ""
    minute: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.symbol, self.session, self.minute) if part)


@dataclass(frozen=True)
class Finding:
    """One check of one thing.

    Attributes:
        check: the check's name, one of `research.leaks.checks.CHECKS`.
        subject: what was checked: a feature's name, a label, "folds", "pipeline", a source.
        status: PASS, FAIL, or SKIP when it could not be judged; `what` then says why.
        what: one sentence with figures.
        where: the place, of a failure.
        reproduction: the smallest input found that shows it, as a line a person can redo.
        why: why it matters to money.
    """

    check: str
    subject: str
    status: str
    what: str
    where: Where = field(default_factory=Where)
    reproduction: str = ""
    why: str = ""


@dataclass(frozen=True)
class LeakReport:
    """All findings, and exactly what they speak about.

    Attributes:
        features: names of the features that were checked; `features_hash` of their names and their code.
        data: the source's name; `data_hash` of the bars that were read.
        label, folds, model: in words, empty where none was given.
        code_version: version and hash of KitePilot that ran the checks.
        seed: of every random choice; the same inputs and seed give the same report, byte for byte.
    """

    features: tuple[str, ...]
    features_hash: str
    data: str
    data_hash: str
    label: str
    folds: str
    model: str
    code_version: str
    seed: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Nothing failed, and something was judged. A check that could not be made does not fail."""
        return any(found.status == PASS for found in self.findings) and not self.leaks

    @property
    def leaks(self) -> tuple[Finding, ...]:
        return tuple(found for found in self.findings if found.status == FAIL)

    @property
    def skipped(self) -> tuple[Finding, ...]:
        return tuple(found for found in self.findings if found.status == SKIP)

    @property
    def digest(self) -> str:
        """SHA-256 over the report's JSON: what the registry stores beside the model."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        return msgspec.json.encode({"passed": self.passed, **msgspec.to_builtins(self)}).decode()

    @classmethod
    def from_json(cls, text: str) -> LeakReport:
        """Raises `ValueError` for anything else than a report."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as err:
            raise ValueError(f"not a report of the leak gate: {err}") from err
