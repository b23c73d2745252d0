"""The reference pages that are made from the code: what stands between the marks is written anew.

    python docs/generate.py

A test holds each page equal to what this would write.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from api.lag_metrics import LagCollector
from api.machine_metrics import MeasuresCollector
from api.measures import Measures
from api.metrics import SnapshotCollector
from api.view import View
from infra.analytics.seeds import SEEDS
from infra.eventlog.sqlite_log import SqliteLog
from kitepilot.alerts import kinds
from kitepilot.config import Config, RiskSection
from kitepilot.events import Sizing
from kitepilot.kernels.feature_docs import FAMILIES
from kitepilot.kernels.features import FEATURE_DOCS
from kitepilot.risk import states
from kitepilot.risk.checks import page as checks
from kitepilot.risk.sizing import Entry, method_of
from kitepilot.run import Run
from kitepilot.strategies import ma_cross, micro_momentum, rsi_reversion, score_follower, vwap_reversion
from kitepilot.strategies.parameters import Parameter

BEGIN, END = "<!-- made from the code by `make docs` -->\n", "<!-- end -->\n"
DOCS = Path(__file__).parent
STRATEGIES: dict[str, tuple[type[Any], dict[str, Parameter]]] = {
    "ma_cross": (ma_cross.MaCross, ma_cross.PARAMETERS),
    "rsi_reversion": (rsi_reversion.RsiReversion, rsi_reversion.PARAMETERS),
    "vwap_reversion": (vwap_reversion.VwapReversion, vwap_reversion.PARAMETERS),
    "micro_momentum": (micro_momentum.MicroMomentum, micro_momentum.PARAMETERS),
    "score_follower": (score_follower.ScoreFollower, score_follower.PARAMETERS),
}
FOLDER = DOCS / "reference"
BOOK = DOCS.parent / "dbt_project"
LAKH = 10_000_000  # paise
#: What `sizing` shows: the same three wishes for every method.
EXAMPLES: dict[str, dict[str, int]] = {
    "fixed_notional": {"notional_paise": 6_000_000},
    "fixed_quantity": {"shares": 40},
    "fixed_fractional": {"capital_paise": 10 * LAKH, "risk_bps": 3},
    "volatility_target": {"capital_paise": 10 * LAKH, "target_bps": 1},
    "fractional_kelly": {
        "capital_paise": 10 * LAKH,
        "win_rate_bps": 5_200,
        "payoff_bps": 11_000,
        "fraction_bps": 500,
        "cap_bps": 5,
    },
}
WISHES = (
    Entry(price_paise=100_000, stop_bps=40, horizon_s=600, minute_move_milli_bps=5_000),
    Entry(price_paise=100_000, stop_bps=80, horizon_s=600, minute_move_milli_bps=5_000),
    Entry(price_paise=100_000, stop_bps=40, horizon_s=600, minute_move_milli_bps=10_000),
)


def between_marks(make: Callable[[], str]) -> Callable[[str], str]:
    """A page's text -> the same with what `make` gives between the marks."""

    def write(text: str) -> str:
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        return f"{before}{BEGIN}\n{make()}\n{END}{after}"

    return write


def sizing() -> str:
    """What each method gives for the same wishes, before limits cut it."""
    lines = [
        "| method | parameters | stop 40 bps | stop 80 bps | stop 40 bps, twice as lively |",
        "|---|---|---|---|---|",
    ]
    for name, given in EXAMPLES.items():
        method = method_of(Sizing(method=name, parameters=given))
        words = ", ".join(_rupees(key, value) for key, value in given.items())
        sizes = " | ".join(f"{method.shares(wish):,}" for wish in WISHES)
        lines.append(f"| `{name}` | {words} | {sizes} |")
    return "\n".join(lines) + "\n"


def _rupees(key: str, value: int) -> str:
    """A parameter as the configuration writes it."""
    if key.endswith("_paise"):
        return f"`{key.removesuffix('_paise')}_rupees: {value // 100}`"
    return f"`{key}: {value}`"


def metrics() -> str:
    """Every family that `GET /metrics` has, as a fresh API exports them."""
    run = Run("", Path("nowhere"), Config())
    log = SqliteLog(run.log_folder)
    view = View(run, log)
    collectors = (
        SnapshotCollector(view, {}),
        MeasuresCollector(run, Measures()),
        LagCollector(run, log, view),
    )
    found = [family for each in collectors for family in each.collect()]
    lines = ["| name | type | labels | meaning |", "|---|---|---|---|"]
    for family in sorted(found, key=lambda each: each.name):
        labels = ", ".join(f"`{name}`" for name in getattr(family, "_labelnames", ()))
        name = f"{family.name}_total" if family.type == "counter" else family.name
        lines.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(lines) + "\n"


def features() -> str:
    """Every feature by family, in the order of a row within it."""
    lines = [f"{len(FEATURE_DOCS)} features."]
    for family in FAMILIES:
        lines += ["", f"## {family.capitalize().replace('vwap', 'VWAP')}", ""]
        lines += ["| name | meaning | unit | warm-up, s | made of |", "|---|---|---|---|---|"]
        lines += [
            f"| `{doc.name}` | {doc.meaning} | {doc.unit} | {doc.warmup_s} | {doc.source} |"
            for doc in FEATURE_DOCS
            if doc.family == family
        ]
    return "\n".join(lines) + "\n"


def strategies(text: str) -> str:
    """What each built-in strategy reads and may be told, under its heading in the page."""
    for name, (made, declared) in STRATEGIES.items():
        heading, (before, after) = f"## {name}\n", (text.partition(f"## {name}\n")[::2])
        text = before + heading + between_marks(partial(strategy, made, declared))(after)
    return text


def strategy(made: type[Any], declared: dict[str, Parameter]) -> str:
    """One strategy, with its defaults."""
    reads = ", ".join(f"`{name}`" for name in made.requires) or "no feature"
    rests = ", ".join(f"`{name}`" for name in getattr(made, "rests_on", ())) or "none"
    lines = [f"Called at each {made({}).interval_s} s close. Reads {reads}. Scores it rests on: {rests}.", ""]
    lines += ["| parameter | default | from | to | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| `{name}` | {each.default:g} | {each.low:g} | {each.high:g} | {each.meaning} |"
        for name, each in declared.items()
    ]
    return "\n".join(lines) + "\n"


def api() -> str:
    """Every operation as its OpenAPI has it, and every code of a problem."""
    from api.app import described
    from api.problems import KINDS

    lines = ["| | path | operation | what it does |", "|---|---|---|---|"]
    for path, methods in sorted(described().openapi_schema.to_schema()["paths"].items()):
        lines += [
            f"| {method.upper()} | `{path}` | `{told['operationId']}` | {told.get('summary', '')} |"
            for method, told in methods.items()
        ]
    lines += ["", "## Codes of problems", "", "| code | status | |", "|---|---|---|"]
    lines += [f"| `{code}` | {kind.status} | {kind.title} |" for code, kind in KINDS.items()]
    return "\n".join(lines) + "\n"


def _whole(make: Callable[[], str], _: str) -> str:
    """A file that is made from the code from its first line to its last."""
    return make()


PAGES: dict[Path, Callable[[str], str]] = {
    FOLDER / "alerts.md": between_marks(kinds.page),
    FOLDER / "api.md": between_marks(api),
    FOLDER / "denials.md": between_marks(checks.denials),
    FOLDER / "features.md": between_marks(features),
    FOLDER / "metrics.md": between_marks(metrics),
    FOLDER / "risk-limits.md": between_marks(lambda: checks.limits(RiskSection().limits())),
    FOLDER / "strategies.md": strategies,
    FOLDER / "trading-state.md": between_marks(states.page),
    DOCS / "how-to" / "sizing.md": between_marks(sizing),
    **{BOOK / "seeds" / f"{name}.csv": partial(_whole, make) for name, make in SEEDS.items()},
}


def main() -> None:
    """Write every page."""
    for path, write in PAGES.items():
        path.write_text(write(path.read_text()))


if __name__ == "__main__":
    main()
