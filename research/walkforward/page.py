"""A walk-forward as one self-contained page: its folds, its probabilities, its features, its limits.

Every drawing is SVG inside the page; nothing is fetched, and the same result gives the same bytes.
"""

from __future__ import annotations

from html import escape

from research.plots import BAD, CSS, GOOD, INK, LINE, MARK, SOFT, axes, svg_of
from research.report.evidence import ModelEvidence
from research.walkforward.result import TrainingResult

SHOWN = 20
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:1.5rem auto;padding:0 1rem;"
    "background:var(--paper);color:var(--ink)}"
    "h1{font-size:1.3rem;margin:0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}p.sub{color:var(--soft)}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}div.wide{overflow-x:auto}"
    "td,th{padding:.2rem .7rem .2rem 0;border-bottom:1px solid var(--line);text-align:right;"
    "white-space:nowrap}td:first-child,th:first-child{text-align:left}"
    "th{white-space:normal;vertical-align:bottom}li{margin:.2rem 0}"
)


def evidence_of(result: TrainingResult) -> ModelEvidence:
    """The result as a report of any backtest of its model shows it."""
    shares = sum(max(0.0, told.get("permutation", 0.0)) for told in result.importance.values()) or 1.0
    return ModelEvidence(
        model_id=result.model,
        reliability=tuple((b["said"], b["true"], int(b["rows"])) for b in result.reliability),
        importance=tuple(
            (name, max(0.0, told.get("permutation", 0.0)) / shares)
            for name, told in result.importance.items()
        ),
        folds=tuple(_line(one) for one in _rows(result)),
    )


def page_of(result: TrainingResult) -> str:
    """HTML, UTF-8."""
    title = f"Walk-forward of {result.kind}: {result.data}"
    about = (
        f"{result.label}. {result.scheme}, embargo {result.embargo_s // 60} min, {result.trials} trials "
        f"a fold, {result.calibration_method} calibration, seed {result.seed}. {result.rows:,} rows of "
        f"{len(result.sessions)} sessions, {result.sessions[0]} to {result.sessions[-1]}. Run {result.run}, "
        f"model {result.model or 'none'}."
    )
    warned = "".join(f"<li>{escape(one)}</li>" for one in result.warnings)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{CSS}{STYLE}</style><h1>{escape(title)}</h1><p class=sub>{escape(about)}</p>"
        f"<h2>Before you believe it</h2><ul>{warned}</ul>"
        f"<h2>Folds, out of sample</h2><div class=wide>{_table(result)}</div>{_folds(result)}"
        f"<h2>Are the probabilities true?</h2>{_reliability(result)}"
        f"<h2>What the scores rest on</h2>{_importance(result)}</html>"
    )


def _rows(result: TrainingResult) -> list[tuple[str, str, int, dict[str, float], str]]:
    folds = [
        (
            f"{one.number}",
            f"{one.test_dates[0]} to {one.test_dates[-1]}",
            one.rows_test,
            one.metrics,
            one.failed,
        )
        for one in result.folds
    ]
    whole = result.out_of_sample
    return [*folds, ("all", "", int(whole.get("rows", 0)), whole, "")]


def _line(row: tuple[str, str, int, dict[str, float], str]) -> dict[str, float | int | str]:
    number, dates, rows, found, failed = row

    def told(name: str, digits: int) -> str:
        return f"{found[name]:.{digits}f}" if name in found else "-"

    return {
        "fold": number,
        "tested on": failed or dates,
        "rows": f"{rows:,}",
        "AUC": told("auc", 3),
        "Brier": told("brier", 4),
        "base rate's": told("brier_base", 4),
        "ECE": told("ece", 4),
        "best 2 % true": told("hit_rate_best_2pc", 3),
        "trades": told("trades", 0),
        "net bps each": told("net_bps", 1),
        "a minute later": told("net_bps_late", 1),
    }


def _table(result: TrainingResult) -> str:
    lines = [_line(row) for row in _rows(result)]
    head = "".join(f"<th>{escape(name)}</th>" for name in lines[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in line.values())}</tr>" for line in lines
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _folds(result: TrainingResult) -> str:
    numbers = [one.number for one in result.folds]
    net = [one.metrics.get("net_bps", 0.0) for one in result.folds]
    with axes(7.6, 2.2, xlabel="fold", ylabel="net bps of a trade") as (figure, ax):
        ax.bar(numbers, net, color=[GOOD if value > 0 else BAD for value in net], width=0.6)
        ax.axhline(0.0, color=INK, linewidth=0.8)
        ax.set_xticks(numbers)
        return f"<figure>{svg_of(figure, 'net bps of a trade by fold')}</figure>"


def _reliability(result: TrainingResult) -> str:
    if not result.reliability:
        return "<p>No row was scored out of sample.</p>"
    with axes(7.6, 3.0, xlabel="what the model said", ylabel="what came true") as (figure, ax):
        curves = (
            ("before calibration", result.raw_reliability, SOFT),
            ("calibrated", result.reliability, MARK),
        )
        most = max(max(b["said"], b["true"]) for _, bins, _ in curves for b in bins)
        ax.plot([0, most], [0, most], color=LINE, linewidth=1.0)
        for name, bins, colour in curves:
            said, true = [b["said"] for b in bins], [b["true"] for b in bins]
            ax.plot(said, true, marker="o", markersize=4, linewidth=1.2, color=colour, label=name)
        ax.legend(loc="upper left")
        return (
            f"<figure>{svg_of(figure, 'reliability')}</figure><p class=sub>Ten bins of equally many rows.</p>"
        )


def _importance(result: TrainingResult) -> str:
    names = [name for name, told in result.importance.items() if "permutation" in told][:SHOWN][::-1]
    if not names:
        return "<p>None was measured.</p>"
    with axes(7.6, 0.6 + 0.22 * len(names), xlabel="rise of the log loss, shuffled") as (
        figure,
        ax,
    ):
        values = [result.importance[name]["permutation"] for name in names]
        ax.barh(names, values, color=MARK, height=0.6)
        ax.axvline(0.0, color=INK, linewidth=0.8)
        return f"<figure>{svg_of(figure, 'feature importance')}</figure>"
