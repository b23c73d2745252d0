"""The marts of execution against the core's own reckoning of the same day."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
from book_of_a_day import Book

from kitepilot.events import AnyEvent, ApprovedIntent, BarsClosed, Filled, OrderJournaled, Verdict
from kitepilot.risk.checks.denials import Denial
from kitepilot.risk.checks.table import ENTRY_CHECKS
from kitepilot.topics import DECISIONS, INTENTS, ORDERS, SESSION
from research.slippage.observed import MINUTE_NS, MINUTE_S, observed

pytestmark = pytest.mark.stack
BINDS_LIVE = {Denial.FUNDS_UNKNOWN}  # on paper such a check passes whatever it saw
PLENTY = 1_000_000_000  # shares of a minute that holds any fill


def busy_minutes(fills: list[Filled]) -> Iterator[BarsClosed]:
    """1 m bars of every minute with a fill, so that none is passed over."""
    for token, closes in {(f.token, (f.filled_at // MINUTE_NS + 1) * MINUTE_NS) for f in fills}:
        prices = {name: [1] for name in ("open_paise", "high_paise", "low_paise", "close_paise")}
        yield BarsClosed(
            source="bars",
            seq=0,
            event_at=closes,
            interval_s=MINUTE_S,
            close_at=closes,
            tokens=[token],
            volume=[PLENTY],
            tick_count=[1],
            **prices,
        )


def test_slippage_against_the_decision_is_what_the_fit_of_slippage_sees(built_book: Book) -> None:
    fills = built_book.day.fills()
    events: list[AnyEvent] = [*built_book.day.events(INTENTS.name), *fills, *busy_minutes(fills)]
    found = observed(events)
    rows = built_book.rows(
        "select min(toUnixTimestamp64Nano(toDateTime64(filled_at, 9))) as at,"
        " any(if(side = 'BUY', 1, -1)) as sign,"
        " sum(slippage_decision_paise) / sum(quantity * decision_price_paise) * 1e4 as bps"
        " from fct_fills where decision_price_paise is not null"
        " group by intent_id, toStartOfMinute(filled_at)"
    )
    told = sorted((row["at"], row["sign"], row["bps"]) for row in rows)
    meant = sorted(zip(found.at.tolist(), found.sign.tolist(), found.slippage_bps.tolist(), strict=True))
    assert len(told) > 5
    assert [row[:2] for row in told] == [row[:2] for row in meant]
    assert all(math.isclose(a[2], b[2], abs_tol=1e-6) for a, b in zip(told, meant, strict=True))


def test_every_denial_of_the_day_is_told_once_with_its_figure(built_book: Book) -> None:
    verdicts = [event for event in built_book.day.events(DECISIONS.name) if isinstance(event, Verdict)]
    denied = [verdict for verdict in verdicts if not verdict.approved]
    rows = built_book.rows("select denial, observed, allowed, unit from fct_denials")
    checks = [next(c for c in v.checks if c.code == v.denial) for v in denied if v.checks]
    assert denied
    assert Counter(row["denial"] for row in rows) == Counter(verdict.denial for verdict in denied)
    money = {each.code for each in ENTRY_CHECKS if each.limit.endswith("_paise")}
    meant = Counter(
        (check.code, check.observed / 100, check.limit / 100, "rupees")
        if check.code in money
        else (check.code, check.observed, check.limit, "")
        for check in checks
    )
    told = (
        (row["denial"], row["observed"], row["allowed"], row["unit"] if row["denial"] in money else "")
        for row in rows
    )
    assert Counter(told) >= meant


def test_every_intent_is_an_order_with_the_shares_its_fills_add_up_to(built_book: Book) -> None:
    intents = [e for e in built_book.day.events(INTENTS.name) if isinstance(e, ApprovedIntent)]
    filled: defaultdict[str, int] = defaultdict(int)
    for fill in built_book.day.fills():
        filled[fill.intent_id] += fill.quantity
    rows = built_book.rows("select intent_id, quantity, filled_quantity, status from fct_orders")
    assert {row["intent_id"]: row["filled_quantity"] for row in rows} == {
        intent.intent_id: filled[intent.intent_id] for intent in intents
    }
    last = {update.intent_id: update.status.value for update in built_book.day.updates()}
    assert last.items() <= {row["intent_id"]: row["status"] for row in rows}.items()


def test_the_nearest_approach_to_a_limit_is_the_highest_any_check_saw(built_book: Book) -> None:
    """And what the seed calls a comparison is the one by which the core lets pass."""
    verdicts = [event for event in built_book.day.events(DECISIONS.name) if isinstance(event, Verdict)]
    rows = {row["limit_code"]: row for row in built_book.rows("select * from fct_limit_use")}
    for verdict in verdicts:
        for check in verdict.checks:
            row = rows[check.code]
            if check.code in BINDS_LIVE or not row["comparison"] or check.limit <= 0 or check.observed < 0:
                continue
            within = check.observed <= check.limit
            if row["comparison"] == "at_least":
                within = check.observed >= check.limit
            elif row["use_share"] is not None:
                assert row["use_share"] >= check.observed / check.limit
            assert check.passed is within or check.observed == check.limit, check
    refused = Counter(verdict.denial for verdict in verdicts if not verdict.approved)
    assert {code: row["entries_refused"] for code, row in rows.items() if row["entries_refused"]} == refused


def test_percentiles_are_samples_of_the_requests(built_book: Book) -> None:
    took = [
        event.latency_ns / 1e6
        for event in built_book.day.events(ORDERS.name)
        if isinstance(event, OrderJournaled) and event.latency_ns
    ]
    rows = built_book.rows("select * from fct_latencies where stage = 'request'")
    assert sum(row["samples"] for row in rows) == len(took) > 0
    assert {row[name] for row in rows for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")} <= set(took)
    assert max(row["max_ms"] for row in rows) == max(took)


def test_the_books_of_the_day_agree_and_no_rule_is_broken(built_book: Book) -> None:
    checks = built_book.rows("select check_name, status, detail from fct_reconciliation")
    rules = built_book.rows("select rule, status from fct_compliance")
    assert [row for row in (*checks, *rules) if row["status"] == "broken"] == []
    held = {row["check_name"] for row in checks if row["status"] == "held"}
    assert held >= {"archive_session", "archive_orders", "fills_sum_to_filled", "intent_has_verdict"}
    assert {row["rule"]: row["status"] for row in rules}["algo_id"] == "not_observed"  # nobody can tell


def test_what_the_session_says_of_an_order_is_after_what_was_decided(built_book: Book) -> None:
    told = {event.intent_id for event in built_book.day.events(SESSION.name) if isinstance(event, Filled)}
    rows = built_book.rows("select intent_id, decided_at, ended_at, decision_to_end_ms from fct_orders")
    ended = [row for row in rows if row["ended_at"] is not None]
    assert told <= {row["intent_id"] for row in ended}
    assert all(row["decision_to_end_ms"] >= 0 for row in ended)
