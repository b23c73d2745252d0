"""What a reader finds in the views beside the raw tables: positions, incidents, latencies, tick minutes."""

from __future__ import annotations

from datetime import date
from itertools import accumulate
from typing import Any

import pytest
from archive_messages import OPEN_AT, SECOND, WHO, samples, tick_message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.archive import open_archive
from infra.clickhouse.client import connect
from kitepilot import events as e
from kitepilot.ports import LogRecord
from kitepilot.run import Run
from kitepilot.topics import INTENTS

pytestmark = pytest.mark.stack

MS = 1_000_000


def archive(run: Run, events: list[tuple[str, e.AnyEvent]]) -> None:
    """These messages, and nothing else, in the tables of the run."""
    records = [
        LogRecord(topic, 0, offset, 0, b"", e.encode(event, emitted_at=OPEN_AT + 50 * MS))
        for offset, (topic, event) in enumerate(events)
    ]
    into = open_archive(run, None)
    into.add(records)
    into.flush()
    into.close()


def rows(run: Run, query: str) -> list[Any]:
    with connect(run, "api") as client:
        return list(client.query(query, parameters={"run": run.run_id}).result_rows)


def head(seq: int, source: str = "gateway") -> dict[str, Any]:
    return {"source": source, "seq": seq, "event_at": OPEN_AT + seq * SECOND}


def filled(seq: int, token: int, signed: int) -> e.Filled:
    return e.Filled(
        **head(seq),
        **WHO | {"token": token},
        order_id=f"o{seq}",
        trade_id=f"t{seq}",
        side=e.Side.BUY if signed > 0 else e.Side.SELL,
        quantity=abs(signed),
        price_paise=100_05,
        filled_at=OPEN_AT + seq * SECOND,
    )


QUANTITY = st.integers(-500, 500).filter(bool)


def test_a_position_is_the_signed_sum_of_the_trades_so_far_in_the_order_of_the_log(run: Run) -> None:
    @settings(max_examples=1, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.sampled_from([408065, 738561]), QUANTITY), min_size=30, max_size=60))
    def held(trades: list[tuple[int, int]]) -> None:
        archive(run, [("session", filled(seq, *trade)) for seq, trade in enumerate(trades)])
        for token in {token for token, _ in trades}:
            found = rows(
                run,
                "SELECT net_quantity, bought_paise - sold_paise FROM positions WHERE run_id = {run:String} "
                f"AND token = {token} ORDER BY log_offset",
            )
            wanted = list(accumulate(signed for each, signed in trades if each == token))
            assert found == [(net, net * 100_05) for net in wanted]

    held()


def test_a_foreign_trade_moves_the_position_of_the_account(run: Run) -> None:
    [foreign] = [each for each in samples(0)["session"] if isinstance(each, e.ForeignFilled)]
    archive(run, [("session", filled(0, foreign.token, 10)), ("session", foreign)])
    assert rows(
        run, "SELECT is_foreign, net_quantity FROM positions WHERE run_id = {run:String} ORDER BY log_offset"
    ) == [(False, 10), (True, 5)]


def incidents(run: Run) -> list[tuple[Any, ...]]:
    return rows(
        run,
        "SELECT kind, subject, value FROM incidents WHERE run_id = {run:String} "
        "ORDER BY kind, log_topic, log_offset",
    )


def feed(seq: int, state: str) -> tuple[str, e.AnyEvent]:
    return "session", e.FeedChanged(**head(seq, "market-0"), state=state)


def test_a_feed_gap_lasts_until_the_next_word_that_it_is_up_and_an_open_one_has_no_end(run: Run) -> None:
    archive(run, [feed(0, "up"), feed(10, "down"), feed(25, "up"), feed(40, "down")])
    assert incidents(run) == [("feed_gap", "down", 15.0), ("feed_gap", "down", None)]


def test_refusals_retries_drift_and_breakers_are_read_as_incidents(run: Run) -> None:
    checks = (
        e.Check(code="trading_state", passed=True, observed=0, limit=1),
        e.Check(code="open_positions", passed=False, observed=21, limit=20),
    )
    [approved] = [each for each in samples(0)["decisions"] if isinstance(each, e.Verdict)]
    refused = _changed(approved, approved=False, denial="open_positions", intent_id="", checks=checks)
    [intent] = samples(0)["intents"]
    again = _changed(intent, seq=1, attempt=2, run_id=run.run_id, config_hash=run.config_hash)
    first = _changed(again, seq=0, attempt=0)
    [drift] = [each for each in samples(0)["session"] if isinstance(each, e.DriftFound)]
    breaker = e.Alarmed(
        **head(9),
        run_id="r",
        kind="breaker",
        subject="orders",
        detail="5 failures",
        halts=False,
        state="open",
    )
    [line] = samples(0)["orders"]
    throttled = _changed(line, kind="throttled", latency_ns=250 * MS)
    archive(
        run,
        [
            ("decisions", approved),
            ("decisions", _changed(refused, seq=1)),
            (INTENTS.name, first),
            (INTENTS.name, again),
            ("orders", throttled),
            ("session", drift),
            ("session", breaker),
        ],
    )
    assert incidents(run) == [
        ("breaker", "orders", 1.0),
        ("drift", "spread", 1.5),
        ("order_retry", again.intent_id, 2.0),
        ("order_throttled", again.intent_id, 0.25),
        ("risk_refusal", "open_positions", 21.0),
    ]


def _changed(event: Any, **fields: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(event, **fields)


def test_a_postback_is_late_by_what_lies_between_the_exchanges_stamp_and_our_session_clock(run: Run) -> None:
    body = '{"order_id": "o1", "exchange_update_timestamp": "2026-11-20 09:15:01"}'
    postback = e.PostbackReceived(
        **head(4, "api"), order_id="o1", status="COMPLETE", body=body, received_at=OPEN_AT
    )
    archive(run, [("postbacks", postback), ("postbacks", _changed(postback, seq=5, body="{}"))])
    assert incidents(run) == [("postback_delay", "o1", 3.0)]


def test_latencies_are_the_differences_of_the_stamps_and_own_exits_have_none(run: Run) -> None:
    [intent] = samples(0)["intents"]
    mine = {"run_id": run.run_id, "config_hash": run.config_hash}
    spoken = _changed(intent, **mine, received_at=OPEN_AT + 10 * MS, signal_emitted_at=OPEN_AT + 30 * MS)
    own_exit = _changed(intent, **mine, seq=1, received_at=0, signal_emitted_at=0)
    [line] = samples(0)["orders"]
    [mark] = [each for each in samples(0)["session"] if isinstance(each, e.Marked)]
    archive(
        run,
        [
            (INTENTS.name, spoken),
            (INTENTS.name, own_exit),
            ("orders", _changed(line, latency_ns=7 * MS)),
            ("session", _changed(mark, received_at=OPEN_AT + 45 * MS)),
        ],
    )
    found = rows(run, "SELECT stage, latency_ms FROM latencies WHERE run_id = {run:String} ORDER BY stage")
    assert found == [
        ("request", 7.0),
        ("signal_to_enqueued", 20.0),
        ("tick_to_enqueued", 40.0),
        ("tick_to_mark", 5.0),
    ]


def test_the_minutes_of_ticks_say_what_the_ticks_say_however_the_batches_were_cut(run: Run) -> None:
    into = open_archive(run, None)
    for offset in range(3):
        into.add([LogRecord("ticks", 0, offset, 0, b"", tick_message(offset * 400, 400))])
        into.flush()
    into.close()
    assert date(2026, 11, 20) == rows(run, "SELECT any(session_date) FROM tick_minutes")[0][0]
    of_ticks = (
        "SELECT token, count(), argMin(last_paise, (log_offset, row)), max(last_paise), min(last_paise), "
        "argMax(last_paise, (log_offset, row)), max(volume), uniqExact(exchange_at), "
        "avg(ask_paise[1] - bid_paise[1]) FROM ticks WHERE run_id = {run:String} "
        "GROUP BY token, toStartOfMinute(exchange_at) ORDER BY token, toStartOfMinute(exchange_at)"
    )
    of_view = (
        "SELECT token, ticks, open_paise, high_paise, low_paise, close_paise, day_volume, "
        "seconds_with_ticks, mean_spread_paise FROM tick_minutes "
        "WHERE run_id = {run:String} ORDER BY token, begins_at"
    )
    assert rows(run, of_view) == rows(run, of_ticks)
