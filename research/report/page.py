"""An outcome -> one self-contained HTML page and the same figures as JSON.

    write_report(outcome, Path("report.html"))          # and report.json beside it
    report_json(outcome) -> dict

The page loads nothing from anywhere and is the same bytes for the same outcome.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from kitepilot.market.calendar import IST
from kitepilot.money import rupees
from research.metrics import Metrics, daily_net, measure
from research.outcome import Outcome, Trade
from research.plots import CSS
from research.report import capacity, charts, tallies
from research.report.caveats import caveats
from research.report.evidence import ModelEvidence
from research.report.monte_carlo import Bands, bands

TRADES_SHOWN = 25
NS = 1_000_000_000


def write_report(
    outcome: Outcome, path: Path, evidence: Sequence[ModelEvidence] = (), seed: int = 0
) -> tuple[Path, Path]:
    """Write the page to `path` and the JSON beside it; both paths. `seed` is the Monte Carlo's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".json")
    path.write_text(report_html(outcome, evidence, seed), encoding="utf-8")
    beside.write_text(json.dumps(report_json(outcome, evidence, seed), indent=1), encoding="utf-8")
    return path, beside


def report_html(outcome: Outcome, evidence: Sequence[ModelEvidence] = (), seed: int = 0) -> str:
    """The page as text."""
    metrics = measure(outcome)
    drawn = bands(daily_net(outcome), seed)
    sized = capacity.sizes(outcome)
    ordered = sorted(outcome.trades, key=lambda trade: (trade.net_paise, trade.opened_at))
    page = _environment().get_template("report.html.j2")
    return page.render(
        css=CSS,
        outcome=outcome,
        metrics=metrics,
        figures=headline(metrics),
        caveats=caveats(outcome, metrics),
        bands=drawn,
        best=capacity.best(sized),
        sized=sized,
        tables=_tables(outcome),
        folds=tallies.by_fold(outcome),
        worst=ordered[:TRADES_SHOWN],
        best_trades=ordered[::-1][:TRADES_SHOWN],
        evidence=evidence,
        charts=_charts(outcome, drawn, sized),
        model_charts=[_model_charts(each) for each in evidence],
    )


def report_json(outcome: Outcome, evidence: Sequence[ModelEvidence] = (), seed: int = 0) -> dict[str, Any]:
    """Everything the page says, as plain data; all trades included. Amounts in paise, times ns UTC."""
    metrics = measure(outcome)
    drawn = bands(daily_net(outcome), seed)
    return {
        "name": outcome.name,
        "parameters": outcome.parameters,
        "data": outcome.data,
        "engine": outcome.engine,
        "config_hash": outcome.config_hash,
        "model_ids": list(outcome.model_ids),
        "capital_paise": outcome.capital_paise,
        "sessions": [str(day) for day in outcome.sessions],
        "metrics": metrics.as_json(),
        "charges": outcome.charges,
        "signals": outcome.signals,
        "denials": outcome.denials,
        "caveats": list(caveats(outcome, metrics)),
        "left_out": list(outcome.left_out),
        "session_net_paise": [int(each) for each in daily_net(outcome)],
        "folds": {str(day): fold for day, fold in outcome.folds.items()},
        **{
            name: {str(key): each.as_json() for key, each in found.items()}
            for name, (_, found) in _tables(outcome).items()
        },
        "monte_carlo": _bands_json(drawn),
        "capacity": [
            {"times": each.times, "gross_paise": each.gross_paise, "net_paise": each.net_paise}
            for each in capacity.sizes(outcome)
        ],
        "models": [
            {
                "model_id": each.model_id,
                "reliability": [list(point) for point in each.reliability],
                "importance": dict(each.importance),
                "folds": list(each.folds),
            }
            for each in evidence
        ],
        "trades": [_trade_json(trade) for trade in outcome.trades],
    }


def headline(metrics: Metrics) -> list[tuple[str, str, str]]:
    """(what, figure, good | bad | "") of the page's first block."""
    m = metrics

    def sign(value: float) -> str:
        return "" if not math.isfinite(value) or value == 0 else "good" if value > 0 else "bad"

    return [
        ("Net ₹", rupees(m.net_paise), sign(m.net_paise)),
        ("Before charges ₹", rupees(m.gross_paise), sign(m.gross_paise)),
        ("Charges ₹", rupees(m.charges_paise), ""),
        ("Slippage ₹", rupees(m.slippage_paise), ""),
        ("Return on capital", figure(100 * m.return_on_capital, " %", 2), sign(m.return_on_capital)),
        ("Trades", f"{m.trades:,}", ""),
        ("Win rate", figure(100 * m.win_rate, " %", 1), ""),
        ("Profit factor", figure(m.profit_factor, "", 2), sign(m.profit_factor - 1)),
        ("Net per trade", figure(m.expectancy_bps, " bps", 1), sign(m.expectancy_bps)),
        ("Charges on turnover", figure(m.charges_bps, " bps", 1), ""),
        ("Slippage on turnover", figure(m.slippage_bps, " bps", 1), ""),
        ("Mean holding", figure(m.holding_minutes, " min", 0), ""),
        ("Sharpe, annual", f"{figure(m.sharpe, '', 2)} ± {figure(m.sharpe_error, '', 2)}", sign(m.sharpe)),
        ("Sortino, annual", figure(m.sortino, "", 2), sign(m.sortino)),
        ("Deepest drawdown ₹", rupees(m.drawdown_paise), ""),
        ("Worst session ₹", rupees(m.worst_session_paise), sign(m.worst_session_paise)),
        ("Time in the market", figure(100 * m.exposure_share, " %", 0), ""),
        ("Peak exposure ₹", rupees(m.peak_exposure_paise, 0), ""),
    ]


def figure(value: float, unit: str, decimals: int) -> str:
    """A number with its unit, a dash where there is none to say."""
    return f"{value:,.{decimals}f}{unit}" if math.isfinite(value) else "–"


def clock(at_ns: int) -> str:
    """`2026-11-20 09:16:00` IST."""
    return f"{datetime.fromtimestamp(at_ns / NS, UTC).astimezone(IST):%Y-%m-%d %H:%M:%S}"


def _tables(outcome: Outcome) -> dict[str, tuple[str, dict[str, tallies.Tally]]]:
    return {
        "by_strategy": ("Strategy", tallies.by_strategy(outcome)),
        "by_side": ("Side", tallies.by_side(outcome)),
        "by_exit": ("Way out", tallies.by_exit(outcome)),
        "by_half_hour": ("Opened in the half hour from", tallies.by_half_hour(outcome)),
        "by_instrument": ("Instrument", tallies.by_instrument(outcome)),
    }


def _charts(outcome: Outcome, drawn: Bands | None, sized: Sequence[capacity.Sized]) -> dict[str, str]:
    if not outcome.trades:
        return {}
    found = {
        "costs": charts.costs(outcome),
        "results": charts.trade_results(outcome),
        "half_hours": charts.bars(tallies.by_half_hour(outcome), "Net by half hour of the entry"),
        "instruments": charts.bars(tallies.by_instrument(outcome), "Net by instrument (best and worst)"),
        "capacity": charts.capacity(sized),
    }
    if len(outcome.curve.at) > 1:
        found |= {"equity": charts.equity(outcome), "exposure": charts.exposure(outcome)}
    if drawn is not None:
        found["fan"] = charts.fan(drawn)
    return found


def _model_charts(model: ModelEvidence) -> dict[str, str]:
    found = {}
    if model.reliability:
        found["reliability"] = charts.reliability(model)
    if model.importance:
        found["importance"] = charts.importance(model)
    return found


def _bands_json(drawn: Bands | None) -> dict[str, Any] | None:
    if drawn is None:
        return None
    return {
        "draws": drawn.draws,
        "loss_share": drawn.loss_share,
        "drawdown_paise": {"p50": drawn.drawdowns[0], "p95": drawn.drawdowns[1], "p99": drawn.drawdowns[2]},
        "net_paise": dict(zip(("p5", "p25", "p50", "p75", "p95"), drawn.paths[:, -1].tolist(), strict=True)),
    }


def _trade_json(trade: Trade) -> dict[str, Any]:
    return {
        "session": str(trade.session),
        **{
            name: getattr(trade, name)
            for name in (
                *("tradingsymbol", "strategy", "long", "quantity", "opened_at", "closed_at", "entry_paise"),
                *("exit_paise", "gross_paise", "charges_paise", "slippage_paise", "exit_reason"),
            )
        },
        "net_paise": trade.net_paise,
    }


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("research.report", "."),
        autoescape=select_autoescape(["j2", "html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["rupees"] = rupees
    environment.filters["clock"] = clock
    environment.filters["figure"] = figure
    return environment
