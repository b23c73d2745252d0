"""The commands about features: `features list` and `features show`."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kitepilot.cli.options import JsonOption, clear_errors, fail
from kitepilot.run import home

if TYPE_CHECKING:
    from kitepilot.kernels.feature_docs import FeatureDoc
    from research.bars import BarSource
    from research.feature_distribution import Path as FeaturePath
    from research.feature_distribution import Spread

BLOCKS = " ▁▂▃▄▅▆▇█"
WIDTH = 64

features = typer.Typer(no_args_is_help=True, help="What models and strategies see: list, show.")


@features.command("list")
def list_(
    family: Annotated[str | None, typer.Option("--family", help="Those whose family begins so.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List every feature with its family, meaning, unit, warm-up and what it is made of.

    [dim]kitepilot features list --family volatility
    kitepilot features list --json | jq -r '.[].name'[/dim]
    """
    from kitepilot.kernels.feature_docs import FAMILIES
    from kitepilot.kernels.features import FEATURE_DOCS

    chosen = [doc for doc in FEATURE_DOCS if doc.family.startswith(family or "")]
    if not chosen:
        fail(f"--family {family!r} is none of {', '.join(FAMILIES)}")
    if as_json:
        print(json.dumps([doc._asdict() for doc in chosen]))
        return
    for each in FAMILIES:
        mine = [doc for doc in chosen if doc.family == each]
        if mine:
            table = Table("name", "meaning", "unit", "warm-up", "made of", title=each, title_justify="left")
            for doc in mine:
                table.add_row(doc.name, doc.meaning, doc.unit, _span(doc.warmup_s), doc.source)
            Console().print(table)


@features.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A feature; see `features list`.")],
    data: Annotated[str | None, typer.Option("--data", help="A dataset to compute it over.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="Plot this session of it.")] = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", help="Of this instrument; else the first.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the plot to this SVG file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show one feature: its definition, how it is spread over a dataset, and one session of it.

    Bars alone say nothing of ticks and depth: second features and those of signs and books are missing there.
    Exit codes: 0, 2 no such feature, dataset, session or symbol.

    [dim]kitepilot features show rsi_14
    kitepilot features show vol_15m --data nse-2016 --session 2016-09-01 --symbol INFY --out vol.svg[/dim]
    """
    doc = _doc_of(name)
    if data is None:
        if session or symbol or out:
            fail("--session, --symbol and --out need --data: a dataset to compute the feature over")
        print(json.dumps(doc._asdict())) if as_json else _define(doc)
        return
    spread, path = _computed(doc.name, data, session, symbol, as_json)
    if out:
        from research.feature_distribution import drawn

        out.write_text(drawn(doc.name, doc.unit, spread, path))
    if as_json:
        print(json.dumps(doc._asdict() | _plain(spread, path)))
        return
    _define(doc)
    _tell(spread, path)


def _doc_of(name: str) -> FeatureDoc:
    from difflib import get_close_matches

    from kitepilot.kernels.features import FEATURE_DOCS

    docs = {doc.name: doc for doc in FEATURE_DOCS}
    if name not in docs:
        near = get_close_matches(name, docs, n=3)
        meant = f"; did you mean {', '.join(near)}?" if near else ""
        fail(f"there is no feature {name!r}{meant} See `kitepilot features list`")
    return docs[name]


def _computed(
    name: str, data: str, session: str | None, symbol: str | None, quiet: bool
) -> tuple[Spread, FeaturePath | None]:
    from rich.progress import Progress

    from research.datasets.manifest import DatasetError
    from research.datasets.stored import open_bars
    from research.feature_distribution import path_of, spread_of

    with clear_errors(DatasetError, LookupError):
        source: BarSource = open_bars(home(), data)
        path = None
        if session or symbol:
            day = _day(session) if session else source.sessions[-1]
            path = path_of(source, name, day, symbol)
        with Progress(console=Console(stderr=True, quiet=quiet), transient=True) as bar:
            task = bar.add_task("sessions", total=len(source.sessions))
            spread = spread_of(source, name, lambda _: bar.advance(task))
    return spread, path


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise LookupError(f"--session {text!r} is no date: write 2026-11-20") from None


def _define(doc: FeatureDoc) -> None:
    lines = (("meaning", doc.meaning), ("unit", doc.unit), ("warm-up", _span(doc.warmup_s)))
    Console().print(f"[bold]{doc.name}[/bold]  {doc.family}", highlight=False)
    for label, text in (*lines, ("made of", doc.source)):
        Console().print(f"  {label:<8} {text}", highlight=False, soft_wrap=True)


def _tell(spread: Spread, path: FeaturePath | None) -> None:
    from research.feature_distribution import QUANTILES

    say = Console(highlight=False, soft_wrap=True).print
    share = spread.known / spread.rows if spread.rows else 0.0
    say(f"\n{spread.rows:,} rows, {share:.1%} with a value")
    if not spread.known:
        say("bars alone do not give it: it is made of ticks or depth")
        return
    say(f"mean {spread.mean:.4g}, deviation {spread.deviation:.4g}, {spread.least:.4g} to {spread.most:.4g}")
    names = (f"{quantile:.0%}" for quantile in QUANTILES)
    say("  ".join(f"{n} {v:.4g}" for n, v in zip(names, spread.quantiles, strict=True)))
    say(f"{spread.edges[0]:>10.4g} {sparkline(spread.counts.tolist())} {spread.edges[-1]:.4g}")
    if path is not None:
        say(f"\n{path.symbol} on {path.session}, open to close")
        say(f"{'':>10} {sparkline(thinned(path.values.tolist()))}")


def thinned(values: list[float]) -> list[float]:
    """At most `WIDTH` values, evenly chosen.

    >>> len(thinned([1.0] * 375))
    64
    """
    step = max(len(values) / WIDTH, 1.0)
    return [values[int(place * step)] for place in range(min(len(values), WIDTH))]


def sparkline(values: list[float]) -> str:
    """A line of blocks from the least value to the greatest; a blank where there is none.

    >>> sparkline([0.0, 1.0, float("nan"), 2.0])
    '▁▄ █'
    """
    known = [value for value in values if not math.isnan(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = (len(BLOCKS) - 2) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[0 if math.isnan(value) else 1 + int((value - low) * scale)] for value in values)


def _plain(spread: Spread, path: FeaturePath | None) -> dict[str, Any]:
    """For --json: NaN is null."""
    from research.feature_distribution import QUANTILES

    said: dict[str, Any] = {"rows": spread.rows, "known": spread.known}
    for key in ("mean", "deviation", "least", "most"):
        said[key] = _null(getattr(spread, key))
    values = map(_null, spread.quantiles.tolist())
    said["quantiles"] = {f"{quantile:g}": v for quantile, v in zip(QUANTILES, values, strict=True)}
    if path is not None:
        said["session"], said["symbol"] = f"{path.session}", path.symbol
        said["close_at"], said["values"] = path.close_at.tolist(), [_null(v) for v in path.values.tolist()]
    return said


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _span(warmup_s: int) -> str:
    return f"{warmup_s // 60} min" if warmup_s % 60 == 0 else f"{warmup_s} s"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(features, name="features")
