"""`kitepilot features show` over a dataset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bar_files import DAYS, generated_rows, imported, write_parquet
from typer.testing import CliRunner

from kitepilot.cli.main import app


def test_a_feature_is_shown_over_a_dataset_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITEPILOT_HOME", str(tmp_path))
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", generated_rows(2)))
    out = tmp_path / "f.svg"
    words = ["features", "show", "vol_15m", "--data", "d", "--out", str(out), "--session"]
    assert "▁" in CliRunner().invoke(app, [*words, f"{DAYS[1]}"]).stdout
    assert out.read_text().lstrip().startswith("<svg")
    said = json.loads(CliRunner().invoke(app, [*words, f"{DAYS[1]}", "--json"]).stdout)
    assert said["symbol"] == "SYN000" and len(said["values"]) == 375
    assert said["rows"] == 375 * 2 * len(DAYS)
    for wrong in ("2001-01-01", "tomorrow"):
        missing = CliRunner().invoke(app, [*words, wrong])
        assert missing.exit_code == 2 and wrong in missing.stderr
