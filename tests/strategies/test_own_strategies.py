"""A strategy in a file of one's own trades like any other, and what is wrong with it is said by line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kitepilot.cli.own_strategies import with_sources
from kitepilot.cli.strategies import checked, known, write_new
from kitepilot.config import Config, ConfigError, StrategySection, config_hash, dump, load
from kitepilot.kernels.shard import FEATURE_NAMES
from kitepilot.strategies.own import MAX_BYTES, OwnStrategyError, digest, strategy_class
from kitepilot.strategies.plugins import PluginError, make_strategies
from kitepilot.strategies.port import MarketView
from research.strategy_check import check

SAME_SHAPE = """
class {name}:
    requires = ()
    interval_s = 60
    def __init__(self, parameters): self.calls = 0
    def on_close(self, view):
        {body}
    def snapshot(self): return b""
    def restore(self, blob): pass
"""


def written(body: str, name: str = "Mine") -> str:
    head = (
        "import random, time\nfrom kitepilot.events import Side\nfrom kitepilot.strategies.port import Wish\n"
    )
    return head + SAME_SHAPE.format(name=name, body=body)


def problems(body: str) -> tuple[str, ...]:
    return check(lambda: strategy_class("mine", written(body))({}), FEATURE_NAMES).problems


def enabled(*names: str) -> Config:
    return Config(strategies=StrategySection(enabled=list(names)))


def test_what_the_template_writes_keeps_the_rules_and_speaks(tmp_path: Path) -> None:
    write_new(tmp_path, "my_idea")
    found = checked(tmp_path, "my_idea", {})
    assert found["problems"] == () and found["wishes"] > 0
    assert checked(tmp_path, "my_idea", {"lag_bps": 1_000})["wishes"] < found["wishes"]


def test_the_run_keeps_the_text_that_traded_whatever_becomes_of_the_file(tmp_path: Path) -> None:
    path = write_new(tmp_path, "my_idea")
    config = with_sources(enabled("my_idea", "vwap_reversion"), tmp_path)
    (tmp_path / "config.yaml").write_text(dump(config))
    path.write_text("this is no longer a strategy")
    again = load(tmp_path / "config.yaml")
    assert again == config and with_sources(again, tmp_path) == config
    chosen = again.strategies
    made = make_strategies(chosen.enabled, chosen.parameters, FEATURE_NAMES, chosen.sources)
    assert list(made) == ["my_idea", "vwap_reversion"]


def test_another_text_is_another_configuration(tmp_path: Path) -> None:
    path = write_new(tmp_path, "my_idea")
    before = with_sources(enabled("my_idea"), tmp_path)
    path.write_text(path.read_text() + "\n# a remark\n")
    after = with_sources(enabled("my_idea"), tmp_path)
    assert config_hash(before) != config_hash(after)
    assert digest(before.strategies.sources["my_idea"]) != digest(after.strategies.sources["my_idea"])


def test_a_file_cannot_take_the_name_of_an_installed_strategy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="installed"):
        write_new(tmp_path, "vwap_reversion")
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "vwap_reversion.py").write_text("")
    with pytest.raises(ConfigError, match="name of an installed strategy"):
        with_sources(enabled("vwap_reversion"), tmp_path)


def test_a_file_that_is_no_strategy_is_told_before_anything_starts(tmp_path: Path) -> None:
    write_new(tmp_path, "my_idea").write_text("x = 1\ndef (")
    with pytest.raises(ConfigError, match=r"strategies/my_idea.py line 2: .* strategies check my_idea"):
        with_sources(enabled("my_idea"), tmp_path)


@pytest.mark.parametrize("name", ["Mine", "../mine", "1st", "", "a b"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no name for a strategy"):
        write_new(tmp_path, name)


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    write_new(tmp_path, "my_idea")
    with pytest.raises(ConfigError, match="there already"):
        write_new(tmp_path, "my_idea")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\ndef broken(:\n", r"strategies/mine.py line 2"),
        ("x = 1\ny = x / 0\n", r"line 2: ZeroDivisionError"),
        ("raise SystemExit(3)\n", r"line 1: SystemExit"),
        ("import no_such_library\n", r"line 1: ModuleNotFoundError"),
        ("x = 1\n", r"must define one class .* found: none"),
        (written("return []", "A") + written("return []", "B"), "found: A, B"),
        ("#" * (MAX_BYTES + 1), "more than"),
    ],
)
def test_a_file_that_is_no_strategy_is_named_with_its_line(source: str, said: str) -> None:
    with pytest.raises(OwnStrategyError, match=said):
        strategy_class("mine", source)
    with pytest.raises(PluginError, match=said):
        make_strategies(["mine"], {}, FEATURE_NAMES, {"mine": source})


def test_the_list_shows_a_broken_file_beside_those_that_work(tmp_path: Path) -> None:
    write_new(tmp_path, "my_idea")
    (tmp_path / "strategies" / "broken.py").write_text("def (")
    rows = {row["name"]: row for row in known(tmp_path, ["my_idea"])}
    assert rows["my_idea"]["enabled"] and not rows["my_idea"]["trouble"]
    assert "line 1" in rows["broken"]["trouble"]
    assert rows["vwap_reversion"]["from"] == "installed" and rows["vwap_reversion"]["says"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return [Wish(0, Side.BUY, random.random(), 60, 10, 10)]", "other wishes the second time"),
        ("self.calls += 1; return [Wish(self.calls % 9, Side.BUY, 0.5, 60, 10, 10)]", "snapshot and restore"),
        ("return [Wish(99, Side.BUY, 0.5, 60, 10, 10)]", "row 99 of 12"),
        ("return [Wish(0, Side.BUY, 2.0, 60, 10, 10)]", "ValueError"),
        ("view.last_paise[0] = 0; return []", "raised ValueError"),
        ("return 1 / 0", "close 1 it raised ZeroDivisionError"),
    ],
)
def test_a_strategy_that_breaks_a_rule_is_told_which(body: str, said: str) -> None:
    found = problems(body)
    assert len(found) == 1 and said in found[0]


def test_one_that_keeps_them_all_is_let_be() -> None:
    assert problems("return [Wish(0, Side.BUY, 0.5, 60, 10, 10)] if view.last_paise[0] % 2 else []") == ()


def test_a_second_strategy_is_called_at_its_own_closes() -> None:
    seen: list[int] = []

    class EverySecond:
        requires = ()
        interval_s = 1

        def on_close(self, view: MarketView) -> list[object]:
            seen.append(view.close_at)
            return []

        def snapshot(self) -> bytes:
            return b""

        def restore(self, blob: bytes) -> None:
            pass

    found = check(EverySecond, FEATURE_NAMES)
    assert found.problems == () and set(np.diff(seen[: found.closes])) == {1_000_000_000}
