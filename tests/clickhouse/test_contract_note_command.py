"""`kitepilot contract-note` on an archived day: written, read back, changed, refused; findings are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clickhouse_process import new_run
from typer.testing import CliRunner

from infra.clickhouse.client import connect
from kitepilot.cli.main import app
from kitepilot.run import Run

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif("os.environ.get('CLICKHOUSE_URL')", reason="writes a day into the server's tables"),
]

DAY = "2026-11-20"
FILL = ("run_id", "session_date", "intent_id", "order_id", "trade_id", "token", "side", "quantity",
        "price_paise", "filled_at", "source", "seq", "event_at", "emitted_at", "log_topic", "log_partition",
        "log_offset")  # fmt: skip
ORDER = ("run_id", "session_date", "intent_id", "order_id", "token", "tradingsymbol", "side", "kind",
         "log_topic", "log_offset")  # fmt: skip
TRADES = [
    ("O1", "T1", "BUY", 500, 100_00),
    ("O2", "T2", "SELL", 200, 105_00),
    ("O2", "T3", "SELL", 300, 105_05),
]


@pytest.fixture
def day(server_home: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Run]:
    """A run whose archive has three trades of two orders in one share."""
    run = new_run(*server_home, f"paper-20261120-{abs(hash(tmp_path)) % 10**8:08d}")
    at, on = datetime(2026, 11, 20, 4, 0, tzinfo=UTC), datetime(2026, 11, 20).date()
    with connect(run, "sink") as sink:
        sink.insert(
            "fills",
            [
                (
                    run.run_id,
                    on,
                    "I",
                    order,
                    trade,
                    257,
                    side,
                    quantity,
                    price,
                    at,
                    "test",
                    n,
                    at,
                    at,
                    "session",
                    0,
                    n,
                )
                for n, (order, trade, side, quantity, price) in enumerate(TRADES)
            ],
            column_names=FILL,
        )
        orders = [(run.run_id, on, "I", "O1", 257, "INFY", "BUY", "submitted", "orders", n) for n in range(2)]
        sink.insert("orders", orders, column_names=ORDER)
    monkeypatch.setenv("KITEPILOT_HOME", str(run.home))
    yield run


def said(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["contract-note", *words])
    return result.exit_code, result.output


def test_the_note_we_expect_reconciles_and_a_changed_one_does_not(day: Run, tmp_path: Path) -> None:
    code, note = said("expected", DAY, "--run", day.run_id)
    assert code == 0
    path = tmp_path / "note.csv"
    path.write_text(note)
    code, text = said("import", str(path), "--run", day.run_id, "--json")
    found = json.loads(text)
    assert (code, found["reconciled"], found["trades_agreed"], found["findings"]) == (0, True, 3, [])

    path.write_text(note.replace("105.0500", "105.1500"))
    code, text = said("import", str(path), "--run", day.run_id, "--json")
    [finding] = json.loads(text)["findings"]
    assert code == 1
    assert (finding["what"], finding["note"], finding["ours"], finding["difference_paise"]) == (
        "INFY order O2 trade T3: price", "105.15", "105.05", 3000,
    )  # fmt: skip
    with connect(day, "api") as api:
        kept = api.query(
            "SELECT reconciled, findings FROM contract_notes FINAL WHERE run_id = {r:String} "
            "ORDER BY imported_at",
            parameters={"r": day.run_id},
        ).result_rows
        [[why]] = api.query(
            "SELECT why FROM contract_note_findings FINAL WHERE run_id = {r:String}",
            parameters={"r": day.run_id},
        ).result_rows
    assert kept == [(True, 0), (False, 1)]
    assert why == "other price"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"symbol,trade_id\nINFY,1\n", "line 1: the header lacks order_id"),
        (b"\xff\xfe\x00PDF", "not UTF-8 text"),
        (b"Trade Date,2020-01-01\nParticulars,NET TOTAL\n", "no run of 2020-01-01"),
    ],
)
def test_a_file_that_is_no_note_is_one_line_and_exit_code_2(
    day: Run, tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "note.csv"
    path.write_bytes(content)
    code, text = said("import", str(path))
    assert code == 2
    assert told in " ".join(text.split())
    assert "Traceback" not in text
