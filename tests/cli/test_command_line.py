"""The command line as a person meets it: help that teaches, one clear line for each mistake."""

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kitepilot.cli import preflight
from kitepilot.cli.background import broker_lines, model_lines
from kitepilot.cli.main import app
from kitepilot.config import Config, override

runner = CliRunner()


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KITEPILOT_HOME", str(tmp_path / "var"))
    return tmp_path / "var"


def test_help_names_the_first_steps() -> None:
    text = runner.invoke(app, ["--help"]).output
    for word in ("doctor", "seed", "paper", "KITEPILOT_HOME"):
        assert word in text


@pytest.mark.parametrize(
    "command", [c.name or c.callback.__name__ for c in app.registered_commands if c.callback]
)
def test_every_command_explains_itself(command: str) -> None:
    result = runner.invoke(app, [command.replace("_", "-"), "--help"])
    assert result.exit_code == 0
    assert len(result.output) > 150


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["paper", "--speed", "fast"], "neither a number nor"),
        (["paper", "--session", "2026-11-21"], "2026-11-21"),
        (["paper", "--session", "2027-01-04"], "2027"),
        (["paper", "--config", "absent.yaml"], "absent.yaml"),
        (["paper", "--log", "rabbit"], "rabbit"),
        (["logs"], "no run"),
    ],
)
def test_a_mistake_is_one_clear_line_and_exit_code_two(arguments: list[str], told: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert told in result.output
    assert "Traceback" not in result.output
    assert result.output.count("error:") == 1


def test_status_says_that_nothing_runs() -> None:
    result = runner.invoke(app, ["status", "--json"])
    assert result.exit_code == 3
    assert json.loads(result.output) == {
        "running": False,
        "processes": [],
        "account": {},
        "feed": {},
        "fence": "",
        "audit": {},
        "retraining": {},
        "daily_pack": "",
    }
    assert runner.invoke(app, ["down"]).output.strip() == "nothing was running"


def test_the_configuration_is_printed_with_its_hash() -> None:
    output = runner.invoke(app, ["config"]).output
    assert "daily_loss_rupees: 25000" in output
    assert "# hash: " in output


def test_doctor_finds_a_port_in_use_and_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = list(preflight.findings(override(Config(), **{"api.port": port}), Path("var")))
    bad = {f.check: f.remedy for f in found if not f.ok}
    assert str(port) in bad[f"port {port}"]


def test_doctor_wants_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "FREE_BYTES", 1 << 60)
    bad = {f.check: f.remedy for f in preflight.findings(Config(), tmp_path) if not f.ok}
    assert "KITEPILOT_HOME" in bad["disk"]


def test_doctor_names_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "PACKAGES", ("a_package_nobody_has",))
    bad = [f for f in preflight.findings(Config(), tmp_path) if not f.ok]
    assert (bad[0].check, bad[0].remedy) == ("packages", "run `make bootstrap`")


def test_status_tells_a_person_what_was_found_at_the_broker() -> None:
    account = {
        "reconciliation": {
            "occasion": "minute", "verdict": "halt", "orders": 3, "trades": 2, "positions": 1,
            "differences": [{"rule": "position_differs", "subject": "INFY", "ours": "5", "theirs": "0"}],
        },
        "foreign_orders": [
            {"side": "SELL", "filled_quantity": 2, "quantity": 5, "tradingsymbol": "INFY", "product": "MIS",
             "venue_status": "OPEN", "order_id": "7"}
        ],
        "alarms": [{"kind": "order", "subject": "8", "detail": "filled 12 of 10", "halts": True}],
    }  # fmt: skip
    assert broker_lines(account) == [
        "broker reconciled (minute): halt, 3 orders, 2 trades, 1 positions",
        "  position_differs INFY: ours 5, broker 0",
        "not ours: SELL 2 of 5 INFY MIS, OPEN, order 7",
        "alarm (halts): order 8: filled 12 of 10",
    ]
    assert broker_lines({}) == []


def test_status_tells_a_person_which_scores_are_not_followed_and_what_has_drifted() -> None:
    psi = {"model": "lightgbm-1", "feature": "spread", "detector": "psi", "observed": 1.5, "limit": 0.25}
    adwin = {"model": "blend", "feature": "", "detector": "adwin", "observed": 0.2, "limit": 0.125}
    account = {
        "models": {"blend": "drifted", "other": "fresh"},
        "drifts": [psi | {"act": "tell"}, adwin | {"act": "refuse_entries"}],
    }
    assert model_lines(account) == [
        "model blend: drifted",
        "drift (tell): feature spread of lightgbm-1, psi 1.500, limit 0.250",
        "drift (refuse_entries): blend, adwin 0.200, limit 0.125",
    ]
    assert model_lines({}) == []
