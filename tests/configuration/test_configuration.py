"""One typed file; unknown keys are refused with the nearest valid one; the hash names the meaning."""

from datetime import date
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kitepilot import config as configuration
from kitepilot.cli.opening import leaving_times
from kitepilot.config import Config, ConfigError, RiskSection, override
from kitepilot.market import calendar


def test_defaults_are_a_paper_session_on_the_embedded_stack() -> None:
    config = configuration.load(None)
    assert (config.mode, config.log.kind, config.storage.database_url) == ("paper", "sqlite", "")


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        (
            {"risk": {"daily_loss_rupee": 5}},
            "unknown key `risk.daily_loss_rupee`; did you mean `daily_loss_rupees`?",
        ),
        ({"sesion": {}}, "unknown key `sesion`; did you mean `session`?"),
        ({"market": {"zzz": 1}}, "valid keys here: feed, seed, instruments, updates_per_s"),
        ({"session": {"date": "20-11-2026"}}, "is not a date like 2026-11-20"),
        ({"session": {"speed": "fast"}}, 'neither a number nor "max"'),
        ({"session": {"speed": 0}}, "must be above 0"),
        ({"log": {"kind": "rabbit"}}, "rabbit"),
        ({"risk": {"daily_loss_rupees": "many"}}, "daily_loss_rupees"),
    ],
)
def test_a_mistake_is_refused_with_its_place_and_a_remedy(tree: dict, told: str, tmp_path: Path) -> None:
    path = tmp_path / "kitepilot.yaml"
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(ConfigError) as refused:
        configuration.load(path)
    assert told in str(refused.value)
    assert str(path) in str(refused.value)


def test_an_unreadable_file_and_broken_yaml_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        configuration.load(tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("risk: [1, 2")
    with pytest.raises(ConfigError, match="not valid YAML"):
        configuration.load(broken)


def test_what_is_dumped_is_loaded_back_equal(tmp_path: Path) -> None:
    config = configuration.override(Config(), **{"session.speed": "max", "market.seed": 7})
    path = tmp_path / "config.yaml"
    path.write_text(configuration.dump(config))
    assert configuration.load(path) == config


def test_the_hash_is_of_the_meaning_not_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("# a comment\nsession: {speed: 120.0}\n")
    assert configuration.config_hash(configuration.load(path)) == configuration.config_hash(Config())


@given(st.integers(1, 10**6))
def test_every_limit_counts_in_the_hash(rupees: int) -> None:
    changed = configuration.override(Config(), **{"risk.daily_loss_rupees": rupees})
    same = configuration.config_hash(changed) == configuration.config_hash(Config())
    assert same == (rupees == Config().risk.daily_loss_rupees)


def test_an_override_of_none_keeps_what_the_file_says() -> None:
    config = configuration.override(Config(), **{"market.seed": None})
    assert config == Config()


@pytest.mark.parametrize("key", [field.name for field in msgspec.structs.fields(RiskSection)])
def test_a_limit_below_nothing_is_refused_and_so_is_none_at_all(key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        override(Config(), **{f"risk.{key}": -1})
    if key != "entry_protection_bps":
        with pytest.raises(ConfigError, match=key):
            override(Config(), **{f"risk.{key}": 0})


def test_a_market_exit_is_always_protected_within_the_band() -> None:
    """An exit without protection would be refused by the gateway, and the position would stay."""
    override(Config(), **{"risk.exit_protection_bps": 200, "risk.price_band_bps": 200})
    with pytest.raises(ConfigError, match="exit_protection_bps 201 must be 1 to 200"):
        override(Config(), **{"risk.exit_protection_bps": 201, "risk.price_band_bps": 200})
    with pytest.raises(ConfigError, match="price_band_bps 10001"):
        override(Config(), **{"risk.price_band_bps": 10_001})


@pytest.mark.parametrize("clock", ["9:15", "25:00", "14:60", "14:30:00", "soon", ""])
def test_a_time_to_leave_that_is_no_time_is_refused(clock: str) -> None:
    with pytest.raises(ConfigError, match=r"session\.square_off INFY"):
        override(Config(), **{"session.square_off": {"INFY": clock}})


def test_an_instrument_leaves_at_its_own_time_and_the_others_at_theirs() -> None:
    config = override(Config(), **{"session.square_off": {"INFY": "14:30", "*": "14:55"}})
    day = calendar.session(date(2026, 11, 20))
    found = leaving_times(config, day, {"INFY", "SBIN"})
    assert {name: f"{calendar.to_ist(at):%H:%M}" for name, at in found.items()} == {
        "INFY": "14:30", "SBIN": "14:55",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "telling"),
    [
        ({"INFI": "14:30"}, "not watched on this day: INFI"),
        ({"INFY": "15:01"}, "it can only be earlier"),
        ({"*": "09:00"}, "not between the open and 15:00"),
    ],
)
def test_a_time_to_leave_that_would_be_too_late_or_for_nobody_is_refused(
    asked: dict[str, str], telling: str
) -> None:
    config = override(Config(), **{"session.square_off": asked})
    with pytest.raises(ConfigError, match=telling):
        leaving_times(config, calendar.session(date(2026, 11, 20)), {"INFY"})


@pytest.mark.parametrize("silence_s", [1.9, 300.1])
def test_the_watchdogs_patience_has_bounds(silence_s: float) -> None:
    with pytest.raises(ConfigError, match=r"watchdog\.silence_s"):
        override(Config(), **{"watchdog.silence_s": silence_s})
