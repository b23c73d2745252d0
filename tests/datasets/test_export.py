"""What is exported is imported again as the same rows; the commands say what they did."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from bar_files import DAYS, bar, generated_rows, imported, whole_day, write_parquet
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from kitepilot.cli.main import app
from kitepilot.market.calendar import ist_ns
from research.datasets.exporting import FORMATS, export
from research.datasets.manifest import DatasetError, read_manifest
from research.datasets.stored import open_bars

minutes = st.integers(0, 374)
tables = st.dictionaries(
    st.tuples(st.sampled_from(["INFY", "M&M", "NIFTY 50", 'Q"X', "BAJAJ-AUTO"]), st.integers(0, 2), minutes),
    st.tuples(st.integers(1, 2**32 - 1), st.integers(0, 2**40)),
    min_size=1,
    max_size=20,
)


@settings(max_examples=20)
@example(
    {("M&M", 0, minute): (10_000, 1) for minute in range(0, 60, 5)}, "csv"
)  # few, and five minutes apart
@given(tables, st.sampled_from(FORMATS))
def test_an_export_imported_again_is_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, table: dict[tuple[str, int, int], tuple[int, int]], form: str
) -> None:
    home = tmp_path_factory.mktemp("home")
    rows = [
        bar(
            symbol, f"{DAYS[day]} {9 + (15 + minute) // 60:02d}:{(15 + minute) % 60:02d}", paise / 100, volume
        )
        for (symbol, day, minute), (paise, volume) in table.items()
    ]
    before = imported(home, write_parquet(home / "a.parquet", rows), name="x")
    assert before.rows == len(rows)
    assert export(home / "datasets" / "x", home / f"out.{form}", form) == len(rows)
    after = imported(home, home / f"out.{form}", name="y")
    assert after.sha256 == before.sha256
    assert after.tokens == before.tokens


def test_chosen_symbols_and_days_alone_are_exported(tmp_path: Path) -> None:
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", generated_rows()))
    out = tmp_path / "out.csv"
    assert export(tmp_path / "datasets" / "d", out, "csv", ["SYN001"], DAYS[1], DAYS[1]) == 375
    assert len(out.read_text().splitlines()) == 376
    with pytest.raises(DatasetError, match="one of csv, parquet, jsonl"):
        export(tmp_path / "datasets" / "d", out, "xlsx")


def run(home: Path, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, [*words], env={"KITEPILOT_HOME": f"{home}"}, terminal_width=200)
    assert result.exit_code == code, result.output
    return result.output


def test_a_dataset_is_imported_shown_stated_exported_and_removed_by_commands(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "Bars 2021.parquet", [*generated_rows(), *whole_day("A", DAYS[0])])
    told = json.loads(run(tmp_path, "import", f"{path}", "--json", "--no-clickhouse"))
    assert (told["name"], told["rows"], told["refused"]) == ("bars-2021", 9 * 375 + 375, 0)
    again = run(tmp_path, "import", f"{path}", "--no-clickhouse")
    assert f"bars-2021@{told['sha256'][:12]}" in again
    (listed,) = json.loads(run(tmp_path, "datasets", "list", "--json"))
    assert (listed["sha256"], listed["first"], listed["basis"]) == (told["sha256"], "2021-05-10", "unknown")
    assert "Bars 2021.parquet: 3,750 rows" in run(tmp_path, "datasets", "show", "bars-2021")
    run(tmp_path, "datasets", "adjust", "bars-2021", "--basis", "adjusted", "--as-of", "2021-06-01")
    shown = json.loads(run(tmp_path, "datasets", "show", "bars-2021", "--json"))
    assert (shown["basis"], shown["basis_as_of"], shown["sha256"]) == (
        "adjusted",
        "2021-06-01",
        told["sha256"],
    )
    (tmp_path / "splits.csv").write_text("symbol,ex_date,factor,known_since\nA,2021-05-12,2,2021-04-01\n")
    (action,) = json.loads(run(tmp_path, "datasets", "actions", f"{tmp_path / 'splits.csv'}", "--json"))
    assert action["known_since"] == "2021-04-01"
    out = tmp_path / "out.jsonl"
    assert json.loads(run(tmp_path, "export", "bars-2021", "--out", f"{out}", "--json"))["rows"] == 3_750
    run(tmp_path, "datasets", "remove", "bars-2021", "--yes")
    assert json.loads(run(tmp_path, "datasets", "list", "--json")) == []


def test_other_rows_under_a_name_that_is_there_want_a_word(tmp_path: Path) -> None:
    one = write_parquet(tmp_path / "one.parquet", whole_day("A", DAYS[0]))
    two = write_parquet(tmp_path / "two.parquet", whole_day("A", date(2021, 5, 11)))
    run(tmp_path, "import", f"{one}", "--name", "x", "--no-clickhouse")
    assert "say --replace" in run(tmp_path, "import", f"{two}", "--name", "x", "--no-clickhouse", code=2)
    assert read_manifest(tmp_path / "datasets" / "x").first == DAYS[0]
    run(tmp_path, "import", f"{two}", "--name", "x", "--no-clickhouse", "--replace")
    assert read_manifest(tmp_path / "datasets" / "x").first == date(2021, 5, 11)


def test_an_unusual_reading_wants_a_word_where_nobody_can_be_asked(tmp_path: Path) -> None:
    rows = [(row[0], row[1].replace(hour=row[1].hour - 5), *row[2:]) for row in whole_day("A", DAYS[0])]
    rows = [row for row in rows if 4 <= row[1].hour < 10]  # about where UTC would lie
    path = write_parquet(tmp_path / "a.parquet", rows)
    output = run(tmp_path, "import", f"{path}", "--no-clickhouse", code=2)
    assert "would be read as UTC" in output
    assert "--yes" in output
    assert run(tmp_path, "import", f"{path}", "--no-clickhouse", "--yes")
    assert "error" in run(tmp_path, "import", f"{path}", "--zone", "Mars", code=2)


@pytest.mark.parametrize("words", [
    ("datasets", "show", "nope"), ("export", "nope", "--out", "x.csv"), ("import", "nowhere.csv"),
    ("datasets", "adjust", "nope", "--basis", "adjusted"), ("import", "x.csv", "--map", "price=P"),
])  # fmt: skip
def test_a_wrong_word_is_one_line_and_exit_code_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    output = run(tmp_path, *words, code=2)
    assert output.startswith("error: ")
    assert len(output.splitlines()) == 1


def test_the_offset_of_a_time_in_json_lines_is_never_lost(tmp_path: Path) -> None:
    """Guessed to be a time, 14:45+05:30 became 09:15, which is in the session too."""
    line = {"symbol": "A", "time": "2021-05-10T14:45:00+05:30", "open": 1, "high": 1, "low": 1, "close": 1}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    imported(tmp_path, tmp_path / "a.jsonl")
    bars = open_bars(tmp_path, "d").read(DAYS[0])
    assert bars.close_at[bars.present[:, 0]].tolist() == [ist_ns(DAYS[0], "14:46")]
