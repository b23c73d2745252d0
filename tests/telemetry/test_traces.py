"""From tick to fill in one trace, however the topics are read, and taken by a real collector."""

import json
import time
from collections.abc import Callable, Iterator
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_collector import Collector

from flows.traces import Tracing
from infra.eventlog import open_log
from kitepilot import events as e
from kitepilot.config import Config, TelemetrySection
from kitepilot.run import Run
from kitepilot.topics import TOPICS
from kitepilot.traces import READINGS, Span, Tracer, trace_id

MS = 1_000_000
AT = 1_795_150_800_000_000_000  # 2026-11-20 10:30:00 IST
RUN = "paper-20261120-0001"
WAIT_S = 60.0
CHAIN = ("tick", "bar", "signal", "verdict", "intent", "order", "fill")
SERVICES = ("ingest", "market", "market", "decisions", "decisions", "gateway", "gateway")
NAMES = {"token": 7, "tradingsymbol": "INFY", "strategy": "s"}


def head(source: str, seq: int, after_ms: int) -> dict[str, Any]:
    return {"source": source, "seq": seq, "event_at": AT, "emitted_at": AT + after_ms * MS}


def story(number: int = 0) -> dict[str, list[e.AnyEvent]]:
    """Topic -> what was said there about one signal that became a filled order."""
    n, closes = number, AT + number * 60_000 * MS
    ids = {"signal_id": f"SIGNAL{n}", "verdict_id": f"VERDICT{n}"}
    bar = e.BarsClosed(
        **head("market", 2 * n, 5), interval_s=60, close_at=closes, tokens=[], open_paise=[], high_paise=[],
        low_paise=[], close_paise=[], volume=[], tick_count=[],
    )  # fmt: skip
    signal = e.SignalRaised(
        **head("market", n, 8), **NAMES, signal_id=ids["signal_id"], side=e.Side.BUY, strength=1.0,
        interval_s=60, bar_close_at=closes, horizon_s=60, stop_bps=10, take_profit_bps=10, last_paise=1,
        bid_paise=1,
        ask_paise=1, features={}, scores={}, received_at=AT,
    )  # fmt: skip
    verdict = e.Verdict(
        **head("decisions", n, 10), **NAMES, **ids, run_id=RUN, purpose=e.Purpose.ENTRY, side=e.Side.BUY,
        quantity=5, limit_price_paise=1, approved=True, denial="", intent_id=f"INTENT{n}",
        state=e.TradingState.ACTIVE, checks=(),
    )  # fmt: skip
    intent = e.ApprovedIntent(
        **head("decisions.intents", n, 11), **NAMES, **ids, run_id=RUN, intent_id=f"INTENT{n}",
        config_hash="", purpose=e.Purpose.ENTRY, side=e.Side.BUY, quantity=5, order_type="LIMIT",
        limit_price_paise=1, validity="IOC", decision_price_paise=1, received_at=AT,
        signal_emitted_at=AT + 8 * MS,
    )  # fmt: skip
    line = {
        "run_id": RUN, "intent_id": f"INTENT{n}", "order_id": "1", "side": e.Side.BUY,
        "purpose": e.Purpose.ENTRY, "quantity": 5, "filled_quantity": 5, "price_paise": 1,
    }  # fmt: skip
    kinds = {"kind": "accepted", "status": e.OrderStatus.ACCEPTED}
    reply = e.OrderJournaled(
        **head("gateway", 2 * n, 60), **NAMES, **line, **kinds, submitted_at=AT + 15 * MS, latency_ns=40 * MS
    )
    filled = {"kind": "fill", "status": e.OrderStatus.FILLED, "trade_id": "T1"}
    fill = e.OrderJournaled(**head("gateway", 2 * n + 1, 70), **NAMES, **line, **filled)
    return {
        "bars": [bar],
        "session": [signal],
        "decisions": [verdict],
        "intents": [intent],
        "orders": [reply, fill],
    }


def spans_of(order: tuple[str, ...], told: dict[str, list[e.AnyEvent]]) -> list[Span]:
    """The topics one after the other, each in a reading of its own."""
    tracer, spans = Tracer(RUN), []
    for topic in order:
        for event in told[topic]:
            spans += tracer.hear(event)
        spans += tracer.settle()
    return spans + tracer.settle()


def test_the_steps_of_an_order_are_one_chain_in_whatever_order_the_topics_are_read() -> None:
    told = story()
    found = {frozenset(map(repr, spans_of(order, told))) for order in permutations(told)}
    assert len(found) == 1
    spans = {span.name: span for span in spans_of(tuple(told), told)}
    assert tuple(spans) == CHAIN
    assert {span.trace_id for span in spans.values()} == {trace_id(RUN, "SIGNAL0")}
    assert spans["tick"].parent_id == 0
    for above, below in pairwise(CHAIN):
        assert spans[below].parent_id == spans[above].span_id
        assert spans[below].start_ns >= spans[above].start_ns
    assert spans["order"].end_ns - spans["order"].start_ns == 40 * MS
    assert tuple(spans[name].process for name in CHAIN) == SERVICES


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6, unique=True))
@settings(max_examples=20)
def test_no_two_signals_share_a_trace_and_no_two_steps_a_span(numbers: list[int]) -> None:
    spans = [span for number in numbers for span in spans_of(tuple(story()), story(number))]
    assert len({span.trace_id for span in spans}) == len(numbers)
    assert len({span.span_id for span in spans}) == len(spans) == len(numbers) * len(CHAIN)


def test_a_refused_wish_ends_with_the_code_that_refused_it() -> None:
    (verdict,) = story()["decisions"]
    denied = e.decode(e.encode(verdict))
    assert isinstance(denied, e.Verdict)
    tracer = Tracer(RUN)
    (span,) = tracer.hear(type(denied)(**{f: getattr(denied, f) for f in denied.__struct_fields__} | DENIED))
    assert (span.error, span.attributes["approved"]) == ("stale_quote", False)


DENIED = {"approved": False, "denial": "stale_quote", "intent_id": ""}


def test_an_order_whose_intent_never_comes_is_told_all_the_same_after_a_while() -> None:
    tracer = Tracer(RUN)
    for event in story()["orders"]:
        assert tracer.hear(event) == []
    readings = [tracer.settle() for _ in range(READINGS + 1)]
    assert [len(spans) for spans in readings] == [0] * READINGS + [2]
    assert not tracer.waiting


# --- to a collector -------------------------------------------------------------------------------------


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector(refusing=1)
    yield server
    server.close()


@pytest.fixture
def run(tmp_path: Path, collector: Collector) -> Run:
    folder = tmp_path / "var" / "runs" / RUN
    folder.mkdir(parents=True)
    (folder / "start_offsets.json").write_text(json.dumps({t.name: 0 for t in TOPICS}))
    return Run(folder.name, folder, Config(telemetry=TelemetrySection(traces_url=collector.url)))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_collector_is_given_one_joined_trace_over_two_lives_of_the_reader(
    run: Run, collector: Collector
) -> None:
    log = open_log(run)
    log.create_topics(TOPICS)
    told = story()
    after_restart = {"orders": told.pop("orders")}
    for messages, count in ((told, 5), (after_restart, 7)):
        for topic, events in messages.items():
            log.append(topic, [e.encode(event) for event in events])
        tracing = Tracing(run, retry_s=0.05)
        tracing.start()
        until(lambda count=count: len(collector.taken) >= count)  # type: ignore[misc]
        tracing.stop()
    log.close()
    spans = {span.name: span for _, span in collector.taken}
    assert len(collector.taken) == len(spans) == len(CHAIN)
    assert collector.refused == 1
    assert {span.trace_id for span in spans.values()} == {trace_id(RUN, "SIGNAL0").to_bytes(16)}
    for above, below in pairwise(CHAIN):
        assert spans[below].parent_span_id == spans[above].span_id
    assert {span.name: service for service, span in collector.taken} == dict(
        zip(CHAIN, SERVICES, strict=True)
    )
