"""A paper day through the real command: proved, repeatable, interruptible, and gone without a trace."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from otlp_collector import Collector
from paper_house import HOUR_NS, OPEN_NS, Day, House, flaws, market_bytes

from flows.traces import TOPICS as TRACED
from flows.traces import Tracing
from infra.read_positions import FOLDER, read
from kitepilot import config as configuration
from kitepilot.run import Run

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(600)]

#: What `kitepilot paper --json` promises to a script.
PROMISED = {
    "reconciled", "open_positions", "orders", "fills", "unlinked_orders", "ticks", "ticks_per_s",
    "dead_letters", "denials", "gross_pnl_paise", "charges_paise", "net_pnl_paise", "tick_to_signal_ms",
    "signal_to_enqueued_ms", "decisions_hash", "report",
}  # fmt: skip


#: From the tick to the broker: process and step.
WAY = (
    ("ingest", "tick"),
    ("market", "bar"),
    ("market", "signal"),
    ("decisions", "verdict"),
    ("decisions", "intent"),
    ("gateway", "order"),
)


def assert_proved(house: House, day: Day) -> None:
    result = day.result
    assert result["reconciled"], result["first_difference"]
    assert (result["open_positions"], result["unlinked_orders"]) == (0, 0)
    assert house.leftovers() == []
    log = house.log()
    assert flaws(log, house.run(result["run_id"])) == []
    log.close()


def test_a_day_trades_proves_itself_and_leaves_nothing_running(finished_day: tuple[House, Day]) -> None:
    house, day = finished_day
    assert day.code == 0, day.err[-2000:]
    assert_proved(house, day)
    result = day.result
    assert result.keys() >= PROMISED
    assert result["orders"] > 0
    assert result["fills"] > 0
    assert result["ticks"] > 10_000
    assert result["net_pnl_paise"] == result["gross_pnl_paise"] - result["charges_paise"]
    for leg in ("tick_to_signal_ms", "signal_to_enqueued_ms"):
        assert 0 < result[leg]["p50"] <= result[leg]["p95"] <= result[leg]["p99"]
    assert len(result["decisions_hash"]) == 64
    assert "<svg" in Path(result["report"]).read_text()


def test_each_order_of_the_day_is_told_as_one_trace_through_the_processes_that_made_it(
    finished_day: tuple[House, Day],
) -> None:
    """That of an exit which the desk made itself begins with its verdict. What had not left when the day
    ended is told by the next one who follows."""
    house, day = finished_day
    assert WAY in ways(day.heard.spans)
    run, collector = house.run(day.result["run_id"]), Collector()
    told = configuration.override(run.config, **{"telemetry.traces_url": collector.url})
    (run.folder / FOLDER / "traces.json").unlink()
    tracing = Tracing(Run(run.run_id, run.folder, told))
    tracing.start()
    deadline = time.monotonic() + 300
    while not all(read(run).get("traces", {}).get(t.name, 0) >= day.ends[t.name] for t in TRACED):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    tracing.stop()
    collector.close()
    spans = [*day.heard.spans, *collector.taken]
    found = ways(spans)
    assert set(found) <= {WAY, WAY[3:]}
    assert len(found) >= day.result["orders"], "the house may be at its next day by now"
    assert len({span.span_id for _, span in spans if span.name == "fill"}) >= day.result["fills"]


def ways(spans: list[tuple[str, Any]]) -> list[tuple[tuple[str, str], ...]]:
    """How each order came about."""
    by_id = {span.span_id: (process, span) for process, span in spans}
    return [way_to(each, by_id) for each, (_, span) in by_id.items() if span.name == "order"]


def way_to(step: bytes, spans: dict[bytes, tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    """(process, step) from where its trace began."""
    process, span = spans[step]
    above = spans.get(span.parent_span_id)
    assert above is None or above[1].trace_id == span.trace_id
    return (*(way_to(span.parent_span_id, spans) if above else ()), (process, span.name))


def test_a_day_that_lives_is_heard_to_live(finished_day: tuple[House, Day]) -> None:
    _, day = finished_day
    assert day.heard.beats > 0


def test_the_day_replays_byte_for_byte_from_its_log_and_its_decisions_from_the_archive(
    finished_day: tuple[House, Day],
) -> None:
    house, day = finished_day
    again = house.replay(day.result["run_id"], "--json")
    assert again.code == 0, again.out[-3000:] + again.err[-3000:]
    told = again.result
    assert told["equal"] and told["read_from"] == "the event log (sqlite)"
    decisions = told["parts"][0]["streams"][0]
    assert decisions["sha256"] == day.result["decisions_hash"]
    assert told["recorded_by"] == told["replayed_by"], "the same code, and it was noted which"
    kept = house.replay(day.result["run_id"], "--json", "--from-archive", "--only", "decisions")
    assert kept.code == 0, kept.out[-3000:] + kept.err[-3000:]
    assert kept.result["parts"] == told["parts"][:1]


def test_the_next_day_of_the_same_home_meets_the_same_market_byte_for_byte(
    finished_day: tuple[House, Day], next_day: tuple[House, Day]
) -> None:
    """Whatever is traded: on the next day the owner trades by hand too."""
    house, first = finished_day
    _, again = next_day
    assert again.code == 0, again.err[-2000:]
    assert_proved(house, again)
    assert again.result["run_id"] != first.result["run_id"]
    before, after = market_bytes(house, first), market_bytes(house, again)
    assert len(before) == len(after) > 10_000 * 184
    assert before == after, (
        f"they part at byte {next(i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b)}"
    )


def test_ctrl_c_with_a_position_open_flattens_proves_and_stops(
    build_house: Callable[..., House], tmp_path: Path
) -> None:
    house = build_house(tmp_path / "home", instruments=8)
    with house.paper() as paper:
        paper.await_time(OPEN_NS + HOUR_NS // 4)
        paper.await_true("a position", lambda: house.status()["open_positions"] > 0, 240)
        paper.interrupt()
        day = paper.wait()
    assert day.code == 130, day.err[-2000:]
    assert day.result["interrupted"]
    assert day.result["orders"] > 1
    assert_proved(house, day)


def test_a_port_in_use_is_one_line_that_names_it(build_house: Callable[..., House], tmp_path: Path) -> None:
    house = build_house(tmp_path / "home")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", house.ports[0]))
        taken.listen(1)
        day = house.trade(within_s=60)
    assert_refused(day, f"port {house.ports[0]}")


def test_an_unwritable_home_is_one_line_that_names_it(tmp_path: Path) -> None:
    house = House(tmp_path / "plain")
    (tmp_path / "file").write_text("not a folder")
    house.home = tmp_path / "file" / "home"
    assert_refused(house.trade(within_s=60), str(house.home))


def test_a_closed_day_is_one_line_that_names_the_next_session(tmp_path: Path) -> None:
    day = House(tmp_path / "home").trade("--session", "2026-11-21", within_s=60)
    assert_refused(day, "2026-11-23")


def assert_refused(day: Day, telling: str) -> None:
    assert day.code == 2
    assert day.out == ""
    assert [line for line in day.err.splitlines() if line.strip()] == day.error_lines
    assert len(day.error_lines) == 1
    assert telling in day.error_lines[0]
