"""A dataset -> one self-contained HTML page: what it holds, what is odd in it, and what it cannot say."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from kitepilot.market.ticks import SEGMENT_INDICES
from research.datasets import quality_charts as charts
from research.datasets.importing import COUNTED, QUALITY
from research.datasets.manifest import DatasetError, Manifest, read_manifest
from research.datasets.quality_charts import Days, stretches
from research.datasets.reading import Tell, silent
from research.datasets.session_checks import missing_minutes
from research.datasets.session_files import read_session
from research.plots import CSS

ENOUGH_SESSIONS = 500  # about two years: fewer say nothing about other times
WORST_SHOWN = 25


def write_quality_page(folder: Path, out: Path, tell: Tell = silent) -> Path:
    """Write the page; the same dataset gives the same bytes.

    Raises:
        DatasetError: no dataset there, or its `quality.parquet` is gone.
    """
    manifest = read_manifest(folder)
    days = _days(folder)
    missing = np.zeros(1_440, dtype=np.int64)
    for number, entry in enumerate(manifest.sessions):
        tell("counting gaps", number, len(manifest.sessions))
        missing += missing_minutes(read_session(folder, entry.session))
    tell("drawing", 0, 1)
    text = (
        _environment()
        .get_template("quality.html.j2")
        .render(
            css=CSS,
            manifest=manifest,
            cannot=cannot_say(manifest),
            figures=_figures(manifest, days),
            coverage=charts.coverage(days),
            gaps=charts.gaps_by_minute(missing, len(days.session)),
            oddities=charts.oddities(days),
            overnight=charts.overnight(days) if len(days.sessions) > 1 else "",
            worst=_worst_symbols(days),
        )
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_name(f"{out.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(out)
    return out


def cannot_say(manifest: Manifest) -> list[str]:
    """What nobody should conclude from this data, a sentence each."""
    spans = stretches([entry.session for entry in manifest.sessions])
    said = []
    if len(manifest.sessions) < ENOUGH_SESSIONS or len(spans) > 1:
        where = "one window" if len(spans) == 1 else f"{len(spans)} windows"
        shown = ", ".join(f"{first} to {last}" for first, last in spans[:4]) + (
            ", ..." if len(spans) > 4 else ""
        )
        said.append(
            f"{len(manifest.sessions)} sessions in {where} ({shown}) do not show an edge: they are good for "
            "correctness, costs and speed, not for what a strategy earns in other times."
        )
    said.append(
        "Bars of a minute hold no quotes and no depth: spread, queue and the way inside the minute are not "
        "in them, nor are the auctions and the trades after the close."
    )
    said.append(
        "Its symbols are those that were in the files. If somebody chose them by today's list, the shares "
        "that failed since are missing, and the past looks better than it was."
    )
    if manifest.basis == "unknown":
        said.append(
            "Nobody stated whether its prices are raw or back-adjusted: returns across splits are not sure."
        )
    if all(token & 0xFF == SEGMENT_INDICES for token in manifest.tokens.values()):
        said.append("All of it are indices: they cannot be traded, and their volume is 0.")
    return said


def _days(folder: Path) -> Days:
    path = folder / QUALITY
    try:
        table = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as err:
        raise DatasetError(f"{path} is damaged ({err}): import the dataset again") from err
    sessions, session = np.unique(table["session"].cast(pa.int32()).to_numpy(), return_inverse=True)
    names = table["tradingsymbol"].to_pylist()
    symbols, symbol = np.unique(np.array(names, dtype=object), return_inverse=True)
    return Days(
        tuple(date.fromordinal(date(1970, 1, 1).toordinal() + int(day)) for day in sessions),
        tuple(symbols.tolist()),
        session.astype(np.int64),
        symbol.astype(np.int64),
        {name: table[name].to_numpy() for name in (*COUNTED, "refused")},
    )


def _figures(manifest: Manifest, days: Days) -> list[tuple[str, str]]:
    there, wanted = int(days.counts["bars"].sum()), int(days.counts["expected"].sum())
    whole = int((days.counts["bars"] == days.counts["expected"]).sum())
    return [
        ("bars", f"{manifest.rows:,}"),
        ("symbols", f"{len(manifest.tokens):,}"),
        ("sessions", f"{len(manifest.sessions):,}"),
        ("rows refused", f"{manifest.refused:,}"),
        ("minutes there", f"{100 * there / max(wanted, 1):.2f} %"),
        ("whole symbol-days", f"{100 * whole / max(len(days.session), 1):.1f} %"),
        ("silent bars", f"{100 * int(days.counts['silent'].sum()) / max(there, 1):.1f} %"),
        ("prices", f"{manifest.basis} {manifest.basis_as_of or ''}".strip()),
    ]


def _worst_symbols(days: Days) -> list[tuple[str, int, str, int, int, int, int]]:
    """By the share of minutes that is missing: symbol, days, share there, longest gap, and three counts."""
    n = len(days.symbols)

    def total(name: str) -> list[int]:
        sums = np.zeros(n, dtype=np.int64)
        np.add.at(sums, days.symbol, days.counts[name])
        found: list[int] = sums.tolist()
        return found

    longest = np.zeros(n, dtype=np.int64)
    np.maximum.at(longest, days.symbol, days.counts["longest_gap"])
    bars, expected = np.array(total("bars")), np.maximum(total("expected"), 1)
    count = np.bincount(days.symbol, minlength=n)
    columns = (longest.tolist(), total("outliers"), total("off_grid"), total("refused"))
    order = np.lexsort((np.arange(n), bars / expected))[:WORST_SHOWN].tolist()
    return [
        (
            days.symbols[k],
            int(count[k]),
            f"{100 * bars[k] / expected[k]:.2f} %",
            *(column[k] for column in columns),
        )
        for k in order
    ]


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("research.datasets", "."),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
