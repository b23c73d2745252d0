"""What a person gets who asks for something that cannot be: one line that says what to do, exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from book_of_a_day import free_address
from typer.testing import CliRunner

from kitepilot.cli.main import app
from kitepilot.run import HOME_VARIABLE


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--date", "tomorrow"], "is not a date"),
        (["--date", "2026-11-20", "--full-refresh"], "choose one"),
        (["--since", "2026-11-16", "--date", "2026-11-20"], "choose one"),
        ([], "no day has been archived"),
    ],
)
def test_a_build_that_cannot_begin_says_why(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    config = tmp_path / "config.yaml"
    config.write_text(f"storage: {{clickhouse_url: '{free_address()}'}}\n")
    result = CliRunner().invoke(app, ["analytics", "build", "--config", str(config), *words])
    assert result.exit_code == 2
    [line] = result.stderr.strip().splitlines()
    assert told in line
