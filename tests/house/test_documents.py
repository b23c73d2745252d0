"""What stands in a guide runs."""

import re
import runpy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from broker_adapter.gateway.reconcile import RULES, Verdict
from broker_adapter.sandbox import faults
from broker_adapter.sandbox.rest import Desk, build_rest
from kitepilot.cli.main import app
from kitepilot.events import Side
from kitepilot.kernels.features import FEATURE_NAMES
from kitepilot.risk.sizing.port import settle
from kitepilot.strategies.port import MarketView
from kitepilot.topics import TOPICS

ROOT = Path(__file__).resolve().parents[2]
PAGES: dict[Path, Callable[[str], str]] = runpy.run_path(str(ROOT / "docs/generate.py"))["PAGES"]


def code_of(page: str, language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.S))


def test_the_strategy_of_the_guide_buys_the_laggard() -> None:
    namespace: dict[str, Any] = {}
    exec(code_of("docs/how-to/write-a-strategy.md", "python"), namespace)
    strategy = namespace["BuyTheDip"]({"lag_bps": 30.0})
    assert set(strategy.requires) <= set(FEATURE_NAMES)
    features = np.full((3, len(FEATURE_NAMES)), np.nan)
    features[:, FEATURE_NAMES.index("rel_ret_60s")] = [2.0, -45.0, np.nan]
    paise = np.array([10_000, 20_000, 30_000])
    view = MarketView(
        interval_s=60,
        close_at=0,
        tokens=np.array([256, 512, 768]),
        tradingsymbols=("A", "B", "C"),
        names=FEATURE_NAMES,
        features=features,
        scores={},
        last_paise=paise,
        bid_paise=paise,
        ask_paise=paise,
    )
    (wish,) = strategy.on_close(view)
    assert (wish.row, wish.side) == (1, Side.BUY)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_generated_page_is_what_the_code_says(page: Path) -> None:
    assert page.read_text() == PAGES[page](page.read_text()), "`make docs` writes it anew"


def test_the_table_of_faults_is_the_one_the_sandbox_has() -> None:
    assert faults.markdown() in (ROOT / "docs/reference/faults.md").read_text()


def test_every_route_of_the_sandbox_is_in_its_reference() -> None:
    page = (ROOT / "docs/reference/sandbox-rest.md").read_text()
    said = dict(re.findall(r"^\| `(/\S+)` \| ([A-Z, ]+) \|", page, re.M))
    routes = build_rest(cast(Desk, None)).routes
    asked = {route.path_format: sorted({*route.methods} - {"HEAD", "OPTIONS"}) for route in routes}
    assert said == {path: ", ".join(methods) for path, methods in asked.items()}


def test_every_rule_of_the_reconciliation_is_explained_as_it_is() -> None:
    page = (ROOT / "docs/reference/reconciliation.md").read_text()
    said = re.findall(r"^\| `(\w+)` \| (.+) \| (heals|halts) \| (.+) \|$", page, re.M)
    outcome = {Verdict.HEALED: "heals", Verdict.HALT: "halts"}
    assert said == [(rule.name, rule.meaning, outcome[rule.verdict], rule.action) for rule in RULES]


def test_every_topic_is_in_the_reference_with_its_retention() -> None:
    page = (ROOT / "docs/reference/topics.md").read_text()
    for topic in TOPICS:
        row = re.search(rf"^\| `{topic.name}` \|.*\| (\d+) days \|$", page, re.M)
        assert row, topic.name
        assert int(row[1]) == topic.retention.days


def test_every_command_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/commands.md").read_text()
    for command in app.registered_commands:
        if not command.hidden:
            name = command.name or (command.callback.__name__ if command.callback else "")
            assert f"`{name}" in page, name


def test_the_sizing_method_of_the_guide_buys_half() -> None:
    namespace: dict[str, Any] = {}
    exec(code_of("docs/how-to/sizing.md", "python"), namespace)
    half = namespace["Half"](settle("half", namespace["Half"].parameters, {"notional_paise": 6_000_000}))
    assert half.shares(namespace["Entry"](100_000, 40, 600, 5_000)) == 30


def test_every_built_in_strategy_has_its_page_of_results_or_says_why_it_has_none() -> None:
    names = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    page = (ROOT / "docs/reference/strategies.md").read_text()
    for name in names["kitepilot.strategies"]:
        _, _, section = page.partition(f"\n## {name}\n")
        section = section.partition("\n## ")[0]
        assert "| parameter | default |" in section, name
        assert "Silent" in section or "cannot be tried" in section, name
