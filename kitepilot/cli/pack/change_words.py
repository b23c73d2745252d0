"""What a new version says otherwise -> lines of the report: figures first, then rows, paise as rupees."""

from __future__ import annotations

from typing import Any

from infra.daily_packs import Changes
from infra.daily_packs.differences import FileChange
from kitepilot.money import rupees
from research.pack.book import Changed

PAISE = "_paise"
SHOWN = 100  # lines of the report; changes.json has the rest
#: What of a row a person looks for, where the row has it.
GIST = ("side", "quantity", "tradingsymbol", "price_paise", "status", "denial", "order_id", "filled_at")


def lines(changes: Changes, status: str) -> tuple[Changed, ...]:
    """At most `SHOWN` of them."""
    found = []
    if changes.status_before != status:
        found.append(Changed("this pack", changes.status_before, status))
    found += [
        Changed(_name(each.name), _said(each.name, each.before), _said(each.name, each.after), _gap(each))
        for each in changes.figures
    ]
    for file in changes.files:
        found += _of_file(file)
    return tuple(found[:SHOWN])


def _of_file(file: FileChange) -> list[Changed]:
    if not file.rows:
        return [Changed(f"file {file.name}", "–" if file.what == "new" else "", file.what)]
    said = [Changed(f"{file.name} {row.key}", _gist(row.before), _gist(row.after)) for row in file.rows]
    if more := file.changed - len(file.rows):
        said.append(Changed(f"{file.name}: {more:,} more rows", "", ""))
    return said


def _name(name: str) -> str:
    return name.removesuffix(PAISE).replace("_", " ") + (" ₹" if name.endswith(PAISE) else "")


def _said(name: str, value: Any) -> str:
    if value is None:
        return "–"
    return rupees(value) if name.endswith(PAISE) else str(value)


def _gap(figure: Any) -> str:
    both = (figure.before, figure.after)
    if not all(isinstance(each, int) and not isinstance(each, bool) for each in both):
        return ""
    gap = figure.after - figure.before
    return f"{'+' if gap > 0 else ''}{_said(figure.name, gap)}"


def _gist(row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    return " ".join(_said(name, row[name]) for name in GIST if row.get(name) not in (None, "", 0))
