"""Signals over sent bars, and backtests in the background: real processes, made-up bars."""

from __future__ import annotations

import io
import itertools
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from served import CHEAP, SECRET, TEST_HOST, TOKEN, by_name

from api.app import create_app
from api.identity.desk import identity_of
from api.research_desk import LARGE_BYTES, ResearchDesk
from api.services import made as all_services
from infra.eventlog import open_log
from infra.research.process import MOST_WAITING
from infra.research.words import MOST_PREVIEW_ROWS
from kitepilot import config as configuration
from kitepilot.cli import importing
from kitepilot.cli.backtest_queue import drain
from kitepilot.config import Config
from kitepilot.market.calendar import to_ist
from kitepilot.run import Run
from kitepilot.topics import TOPICS
from research.generated_bars import GeneratedBars

WITHIN_S = 600.0
pytestmark = pytest.mark.timeout(900, func_only=True)  # what is asked gives way to every test beside it
DAY = date(2026, 11, 19)
DAYS = (date(2026, 11, 18), DAY)
CSV = {"content-type": "text/csv"}
OVER = ("done", "failed", "cancelled", "died")
Client = TestClient[Litestar]


def csv_of(instruments: int = 2, minutes: int = 90, days: tuple[date, ...] = (DAY,)) -> bytes:
    """Bars of a random walk, labelled by the start of their minute, IST."""
    lines = ["time,symbol,open,high,low,close,volume"]
    source = GeneratedBars(instruments, days, volatility_bps=20.0)
    for bars in map(source.read, days):
        for minute, at in enumerate(bars.close_at[:minutes].tolist()):
            clock = f"{to_ist(at - 60_000_000_000):%Y-%m-%d %H:%M:%S}"
            for row, symbol in enumerate(bars.symbols):
                values = (bars.open, bars.high, bars.low, bars.close)
                prices = ",".join(f"{each[minute, row] / 100:.2f}" for each in values)
                lines.append(f"{clock},{symbol},{prices},{bars.volume[minute, row]}")
    return ("\n".join(lines) + "\n").encode()


class Here:
    """Makes what waits in a thread: the process of its own gives way to every test beside it."""

    def __init__(self, run: Run) -> None:
        self._thread = threading.Thread(target=drain, args=(run,))
        self._thread.start()

    def poll(self) -> int | None:
        return None if self._thread.is_alive() else 0


@pytest.fixture(scope="module")
def research_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a dataset of two sessions."""
    home = tmp_path_factory.mktemp("research") / "var"
    source = home.parent / "bars.csv"
    source.write_bytes(csv_of(3, 375, DAYS))
    words = importing.Words(paths=(source,), name="made-up", basis="raw", yes=True)
    importing.bring_in(home, words, importing.Console(quiet=True))
    return home


@pytest.fixture(scope="module")
def clients(research_home: Path) -> Iterator[Callable[[str], Client]]:
    """One application and its research process for all tests of the module."""
    config = configuration.override(
        Config(), **{"strategies.enabled": ["ma_cross"], "models.offline": "", "models.online": ""}
    )
    folder = research_home / "runs" / "paper-20261120-0001"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(configuration.dump(config))
    (folder / "start_offsets.json").write_text(str({t.name: 0 for t in TOPICS}).replace("'", '"'))
    run = Run(folder.name, folder, config)
    log = open_log(run)
    log.create_topics(TOPICS)
    identity = identity_of(run, TOKEN, cost=CHEAP, names=(TEST_HOST,), ways=(by_name,))
    services = all_services(run, log, api_secret=SECRET, token=TOKEN, identity=identity)
    services.research.close()
    services.research = ResearchDesk(run, Here)
    services.view.start()
    app = create_app(services)

    def client(role: str) -> Client:
        told = {"origin": f"http://{TEST_HOST}", "x-test-principal": role}
        told["x-csrf-token"] = services.identity.sessions.csrf_token("s")
        made = TestClient(app)
        made.headers.update(told)
        return made

    yield client
    services.view.stop()
    services.close()
    log.close()


@pytest.fixture(scope="module")
def operator(clients: Callable[[str], Client]) -> Iterator[Client]:
    with clients("operator") as client:
        until_answered(client)
        yield client


def until_answered(client: Client) -> None:
    """The research process starts when it is first asked, and says so meanwhile."""
    deadline = time.monotonic() + WITHIN_S
    while (reply := client.get("/api/v1/datasets")).status_code != 200:
        assert (reply.status_code, reply.json()["code"]) == (503, "research_unreachable"), reply.text
        assert reply.headers["retry-after"] == "2"
        assert time.monotonic() < deadline, reply.text


def until_over(client: Client, look_at: str) -> dict[str, Any]:
    deadline = time.monotonic() + WITHIN_S
    while (told := client.get(look_at).json())["state"] not in OVER:
        assert time.monotonic() < deadline, told
        time.sleep(0.1)
    return dict(told)


def test_a_preview_says_what_would_be_wished_when_and_what_risk_says_of_it(operator: Client) -> None:
    told = operator.post("/api/v1/signals", content=csv_of(), headers=CSV)
    assert told.status_code == 200, told.text
    found = told.json()
    assert (found["strategies"], found["bars"], found["refused_rows"]) == (["ma_cross"], 180, 0)
    assert found["signals_in_all"] == len(found["signals"]) > 0
    first = found["signals"][0]
    assert first["at"]["ist"].startswith("2026-11-19T")
    assert first["tradingsymbol"] in ("SYN000", "SYN001")
    entries = [each for each in found["signals"] if each["side"]]
    assert {each["verdict"] for each in entries} <= {"approved", "denied"}
    assert all((each["verdict"] == "denied") == bool(each["denial"]) for each in entries)


def test_csv_and_parquet_of_the_same_bars_give_the_same_signals(operator: Client) -> None:
    sent = csv_of()
    packed = io.BytesIO()
    pq.write_table(pa.csv.read_csv(io.BytesIO(sent)), packed)
    binary = {"content-type": "application/octet-stream"}
    of_csv = operator.post("/api/v1/signals", content=sent, headers=CSV).json()
    of_parquet = operator.post("/api/v1/signals", content=packed.getvalue(), headers=binary).json()
    assert of_csv["signals"] == of_parquet["signals"]


def test_a_later_bar_changes_no_signal_before_it(operator: Client) -> None:
    """What is told of a minute is what the live day would have known at it."""
    whole = operator.post("/api/v1/signals", content=csv_of(2, 120), headers=CSV).json()["signals"]
    early = operator.post("/api/v1/signals", content=csv_of(2, 60), headers=CSV).json()["signals"]
    assert early == whole[: len(early)]


def test_a_row_that_is_no_bar_is_named_with_its_reason(operator: Client) -> None:
    lines = csv_of().decode().splitlines()
    lines[3] = lines[3].replace("SYN000", "=cmd()|' /C calc'!A0").replace(":", "x", 1)
    lines[5] = ",".join([*lines[5].split(",")[:2], "abc", *lines[5].split(",")[3:]])
    found = operator.post("/api/v1/signals", content="\n".join(lines).encode(), headers=CSV).json()
    assert found["refused_rows"] == 2
    assert [each["row"] for each in found["refused"]] == [3, 5]
    assert found["refused"][1]["reason"] == "a value is missing or no number"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read"),
        (b"a,b\n1,2\n", "no column looks like time"),
        (b"time,open,high,low,close\nnonsense,1,1,1,1\n", "no row of it is a bar"),
        (b"PAR1 and nothing of it", "magic bytes"),
        (pickle.dumps({"a": 1}), ""),
        (b"\x1f\x8b\x08" + bytes(64), ""),
    ],
)
def test_what_holds_no_bars_is_refused_in_words(operator: Client, content: bytes, words: str) -> None:
    reply = operator.post("/api/v1/signals", content=content, headers=CSV)
    assert (reply.status_code, reply.json()["code"]) == (422, "refused")
    assert words in reply.json()["detail"]
    assert "upload." not in reply.json()["detail"], "no place of ours is told"


def test_a_row_past_the_bound_is_too_many(operator: Client) -> None:
    lines = csv_of(1, 375).decode().splitlines()
    within = [lines[0], *(lines[1:] * 20)[:MOST_PREVIEW_ROWS]]
    assert operator.post("/api/v1/signals", content="\n".join(within), headers=CSV).status_code == 200
    reply = operator.post("/api/v1/signals", content="\n".join([*within, lines[1]]), headers=CSV)
    assert (reply.status_code, reply.json()["code"]) == (422, "refused")
    assert "4,000" in reply.json()["detail"]
    large = operator.post("/api/v1/signals", content=bytes(5 << 20), headers=CSV)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")


def test_another_form_of_body_is_refused(operator: Client) -> None:
    reply = operator.post("/api/v1/signals", json={"open": 1})
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_media_type")


def test_a_process_that_dies_over_a_question_is_another_at_the_next(operator: Client) -> None:
    operator.get("/api/v1/datasets").raise_for_status()
    process = operator.app.state.services.research._process
    gone = process.pid
    os.kill(gone, signal.SIGKILL)
    until_answered(operator)
    assert process.pid not in (0, gone)


def test_a_preview_is_answered_while_a_large_upload_is_looked_at(operator: Client) -> None:
    operator.get("/api/v1/datasets").raise_for_status()
    large = csv_of(2, 375, DAYS) + b"\n" * LARGE_BYTES
    process = operator.app.state.services.research._large
    with ThreadPoolExecutor(1) as pool:
        looked_at = pool.submit(operator.post, "/api/v1/signals?mode=backtest", content=large, headers=CSV)
        deadline = time.monotonic() + WITHIN_S
        while not process.pid:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGSTOP)  # it takes as long as it takes
        assert operator.post("/api/v1/signals", content=csv_of(), headers=CSV).status_code == 200
        os.kill(process.pid, signal.SIGKILL)
        assert looked_at.result().json()["code"] == "research_unreachable"


def test_previews_wait_for_each_other_so_many_at_once_and_the_others_are_told_when_to_ask_again(
    operator: Client,
) -> None:
    operator.get("/api/v1/datasets").raise_for_status()
    pid = operator.app.state.services.research._process.pid
    os.kill(pid, signal.SIGSTOP)  # it takes as long as it takes
    with ThreadPoolExecutor(MOST_WAITING + 2) as pool:
        asked = [
            pool.submit(operator.post, "/api/v1/signals", content=csv_of(1, 5), headers=CSV)
            for _ in range(MOST_WAITING + 2)
        ]
        try:
            refused = [each.result() for each in itertools.islice(as_completed(asked), 2)]
        finally:
            os.kill(pid, signal.SIGCONT)
        assert {each.status_code for each in refused} == {503}
        assert all(each.headers["retry-after"] == "2" for each in refused)
        answered = [each.result() for each in asked if each.result() not in refused]
    assert [each.status_code for each in answered] == [200] * MOST_WAITING


def test_datasets_and_strategies_say_what_a_backtest_can_be_made_of(operator: Client) -> None:
    (row,) = operator.get("/api/v1/datasets").json()["items"]
    assert (row["name"], row["sessions"], row["symbols"]) == ("made-up", 2, ["SYN000", "SYN001", "SYN002"])
    rows = {each["name"]: each for each in operator.get("/api/v1/strategies").json()["items"]}
    assert rows["ma_cross"]["enabled"]
    fast = rows["ma_cross"]["parameters"][0]
    assert (fast["name"], fast["low"], fast["high"]) == ("fast", 1.0, 200.0)


WANTED = {
    "dataset": "made-up",
    "strategies": ["ma_cross"],
    "parameters": {"ma_cross": {"fast": 3, "slow": 9}},
}


def test_a_backtest_is_made_in_the_background_once_for_a_key_and_its_report_runs_nothing(
    operator: Client,
) -> None:
    key = {"idempotency-key": "the first"}
    begun = operator.post("/api/v1/backtests", json=WANTED, headers=key)
    assert begun.status_code == 202, begun.text
    assert operator.post("/api/v1/backtests", json=WANTED, headers=key).json() == begun.json()
    other = operator.post("/api/v1/backtests", json={**WANTED, "capital_rupees": 20_000}, headers=key)
    assert other.json()["code"] == "key_reused"
    told = until_over(operator, begun.json()["look_at"])
    assert (told["state"], told["done"], told["of"], told["by"]) == ("done", 2, 2, "operator@example.test")
    summary = told["summary"]
    assert summary["trades"] > 0
    assert summary["net_paise"] == summary["gross_paise"] - summary["charges_paise"]
    report = operator.get(f"{begun.json()['look_at']}/report")
    assert report.headers["content-type"].startswith("text/html")
    assert "sandbox" in report.headers["content-security-policy"]
    assert "script-src" not in report.headers["content-security-policy"]
    assert "<script" not in report.text
    assert begun.json()["backtest_id"] in [
        each["backtest_id"] for each in operator.get("/api/v1/backtests").json()["items"]
    ]


def test_bars_that_were_sent_are_traded_as_a_backtest(operator: Client) -> None:
    begun = operator.post("/api/v1/signals?mode=backtest", content=csv_of(2, 375, DAYS), headers=CSV)
    assert begun.status_code == 202, begun.text
    told = until_over(operator, begun.json()["look_at"])
    assert (told["state"], told["dataset"], told["summary"]["sessions"]) == ("done", "", 2)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dataset": "another"}, "there are: made-up"),
        ({"strategies": ["ma_cros"], "parameters": {}}, "did you mean `ma_cross`?"),
        ({"strategies": ["micro_momentum"]}, "parameters of ma_cross, which does not trade"),
        ({"parameters": {"ma_cross": {"fast": 900}}}, "is outside 1..200"),
        ({"symbols": ["NONE"]}, "has no symbol 'NONE'"),
        ({"first": "2030-01-01"}, "no session"),
        ({"strategies": ["micro_momentum"], "parameters": {}}, "reads 1 s bars"),
    ],
)
def test_a_backtest_that_cannot_be_is_refused_before_it_is_begun(
    operator: Client, changed: dict[str, Any], words: str
) -> None:
    before = operator.get("/api/v1/backtests").json()["items"]
    reply = operator.post("/api/v1/backtests", json={**WANTED, **changed})
    assert (reply.status_code, reply.json()["code"]) == (422, "refused")
    assert words in reply.json()["detail"]
    assert operator.get("/api/v1/backtests").json()["items"] == before


@pytest.mark.parametrize("name", ["../../etc", "..", "a/b", "/etc/passwd", "a%2fb", ""])
def test_no_path_of_the_asker_reaches_the_disk(operator: Client, name: str) -> None:
    assert operator.post("/api/v1/backtests", json={**WANTED, "dataset": name}).status_code == 400
    for way in ("", "/report"):
        asked = operator.get(f"/api/v1/backtests/{name.replace('/', '%2F')}{way}")
        assert asked.status_code in (404, 405) or asked.json().get("items") is not None
    reply = operator.post(f"/api/v1/signals?strategy={name}", content=csv_of(), headers=CSV)
    assert (reply.status_code, reply.json()["code"]) == (422, "refused")


def test_a_reader_begins_no_backtest_and_cancels_none(clients: Callable[[str], Client]) -> None:
    with clients("reader") as reader:
        until_answered(reader)
        assert reader.post("/api/v1/signals", content=csv_of(), headers=CSV).status_code == 200
        for reply in (
            reader.post("/api/v1/backtests", json=WANTED),
            reader.post("/api/v1/signals?mode=backtest", content=csv_of(), headers=CSV),
            reader.post("/api/v1/backtests/api-000000000000000000000000/cancel", json={}),
        ):
            assert (reply.status_code, reply.json()["code"]) == (403, "not_permitted")
