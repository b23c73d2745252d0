"""Which days a build redoes, and that it comes to the same whichever way the marts were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from book_of_a_day import Book
from shifted_days import shift_run
from traded_day import RUN_ID

from infra.analytics import dbt
from infra.analytics import outcome as outcomes
from infra.analytics.dbt import Days, build, project_print
from infra.analytics.outcome import Outcome
from infra.analytics.slices import last_days
from infra.analytics.standing import forget
from infra.clickhouse.client import connect
from kitepilot.run import Run

pytestmark = [pytest.mark.stack, pytest.mark.slow]

FIRST, NEXT = date(2026, 11, 20), date(2026, 11, 23)
LATE_FILL = """
    insert into fills (run_id, session_date, intent_id, order_id, trade_id, token, side, quantity,
        price_paise, filled_at, source, seq, event_at, emitted_at, log_topic, log_partition, log_offset)
    select run_id, session_date, intent_id, order_id, 'late', token, side, 1, price_paise,
        filled_at, source, 1000000, event_at, emitted_at, log_topic, log_partition, 1000000
    from fills where session_date = '2026-11-20' order by log_offset limit 1
"""
TWICE = """
    insert into fills (run_id, session_date, intent_id, order_id, trade_id, token, side, quantity,
        price_paise, filled_at, source, seq, event_at, emitted_at, log_topic, log_partition, log_offset)
    select run_id, session_date, intent_id, order_id, trade_id, token, side, quantity,
        price_paise, filled_at, source, 2000000, event_at, emitted_at, log_topic, log_partition, 2000000
    from fills where session_date = '2026-11-20' order by log_offset limit 1
"""
MARTS = ("config.materialized:incremental", "config.materialized:table")  # the views are there already
Prints = dict[tuple[str, str], int]


def prints(book: Book) -> Prints:
    """(mart, day) -> a hash of its rows, in whatever order they lie; statistics to six places.

    The day is empty for the small marts that read across days and are made whole each time.
    """
    by_day = {made.name for made in book.outcome.made if made.kind == "incremental"}
    columns = book.rows(
        "select table, name, type from system.columns where database = 'kitepilot_marts' and table in "
        "(select name from system.tables where database = 'kitepilot_marts' and engine like '%MergeTree')"
    )
    tables: dict[str, list[str]] = {}
    for row in columns:
        name, kind = row["name"], row["type"]
        tables.setdefault(row["table"], []).append(f"round({name}, 6)" if "Float" in kind else name)
    found: Prints = {}
    for table, names in tables.items():
        day = "toString(session_date)" if table in by_day else "''"
        for row in book.rows(
            f"select {day} as day, count() as n, groupBitXor(cityHash64({', '.join(names)})) as hash "
            f"from {table} group by day"
        ):
            found[table, row["day"]] = hash((row["n"], row["hash"]))
    return found


def build_marts(book: Book, days: Days | None = None) -> Prints:
    outcome = build(book.run, days, select=MARTS, tested="none")
    assert not [made for made in outcome.made if made.failed]
    return prints(book)


def changed(before: Prints, after: Prints) -> set[tuple[str, str]]:
    """(mart, day) that is not as it was."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def of_day(found: Prints, day: date) -> Prints:
    return {key: value for key, value in found.items() if key[1] == str(day)}


def test_a_build_redoes_the_days_that_changed_and_comes_to_what_a_full_refresh_comes_to(
    own_book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_first = prints(own_book)
    assert len({mart for mart, _ in at_first}) > 15

    with connect(own_book.run, "owner") as client:
        shift_run(client, RUN_ID, FIRST, NEXT, "paper-20261123-0001")
    two_days = build_marts(own_book)
    assert changed(of_day(at_first, FIRST), of_day(two_days, FIRST)) == set(), (
        "nothing was archived of that day"
    )
    assert {mart for mart, _ in of_day(two_days, NEXT)} == {mart for mart, _ in of_day(at_first, FIRST)}

    assert changed(two_days, build_marts(own_book)) == set(), "a second build changed something"

    own_book.write(LATE_FILL)
    late = build_marts(own_book)
    assert ("fct_fills", str(FIRST)) in changed(two_days, late)
    assert changed(of_day(two_days, NEXT), of_day(late, NEXT)) == set(), "a late fill of another day"

    assert last_days(own_book.run) == [NEXT]
    monkeypatch.setattr(dbt, "last_days", partial(last_days, rows_at_once=1))
    assert dbt.last_days(own_book.run) == [FIRST, NEXT]
    anew = build_marts(own_book, Days(full_refresh=True))
    assert changed(late, anew) == set(), "a full refresh, a day at a time, comes to something else"


def test_a_trade_archived_twice_stops_no_mart_is_counted_once_and_is_told(own_book: Book) -> None:
    shares = "select sum(quantity) as n from fct_fills"
    twice = "select 1 from kitepilot.fills group by run_id, order_id, trade_id having count() > 1"
    before, stood_twice = own_book.rows(shares), len(own_book.rows(twice))
    own_book.write(TWICE)
    assert len(own_book.rows(twice)) == stood_twice + 1
    rest_on_it = [f"stg_fills+,{kind}" for kind in MARTS]
    outcome = build(own_book.run, select=("stg_fills", "int_archived_days", *rest_on_it))
    assert not [made for made in outcome.made if made.failed]
    assert own_book.rows(shares) == before
    assert "execution_books_agree" in {each.name for each in outcome.failures}
    told = own_book.rows(
        "select differences, status from fct_reconciliation where check_name = 'fill_stands_once' "
        "and session_date = '2026-11-20'"
    )
    assert told == [{"differences": 1, "status": "broken"}]


def test_dbt_is_asked_again_only_when_something_was_archived_or_is_gone(
    own_book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in ClickHouse decides, not the parts it lies in; and a build with a failure is never kept."""
    asked: list[Sequence[str]] = []
    outcome = replace(own_book.outcome, full_refresh=False)

    def dbt_says(run: Run, days: Days, select: Sequence[str], *_: object) -> Outcome:
        asked.append(select)
        return outcome

    monkeypatch.setattr(dbt, "_build", dbt_says)
    forget(own_book.run)
    assert build(own_book.run) == outcome
    assert build(own_book.run) == build(own_book.run) == replace(outcome, kept=True)
    assert asked == [()]

    everything, rows_alone = [()], [dbt.ROWS]
    for change, expected in (
        (LATE_FILL, rows_alone),
        ("optimize table fills final", []),  # parts were merged
        ("alter table fills delete where trade_id = 'late' settings mutations_sync = 2", rows_alone),
        ("drop table kitepilot_marts.fct_denials", everything),
        ("drop view kitepilot_marts.live_feed", everything),
    ):
        asked.clear()
        own_book.write(change)
        build(own_book.run)
        build(own_book.run)
        assert asked == expected, change

    asked.clear()
    build(own_book.run, tested="all")  # more than was tested
    build(own_book.run, Days(on=FIRST))  # a day that was named
    build(own_book.run, select=["fct_fills"])
    assert len(asked) == 3
    outcome = replace(outcome, tested=(*outcome.tested, outcomes.Tested("t", "fail", 1, "wrong")))
    build(own_book.run)
    assert build(own_book.run) == outcome
    assert len(asked) == 5


def test_another_project_is_another_print_and_its_words_are_not(tmp_path: Path) -> None:
    (tmp_path / "model.sql").write_text("select 1")
    (tmp_path / "README.md").write_text("words")
    before = project_print(tmp_path)
    (tmp_path / "README.md").write_text("other words")
    assert project_print(tmp_path) == before
    (tmp_path / "model.sql").write_text("select 2")
    assert project_print(tmp_path) != before
