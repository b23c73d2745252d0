"""The marts of the ledger against the core: random days of trades, reckoned twice."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from ledger_days import MINUTE, SECOND, TOKENS, TradedDay, random_day
from loopback_ports import free_port

from flows.archive import Archive
from infra.analytics import dbt
from infra.analytics.book import opened_book
from infra.clickhouse.client import connect
from infra.clickhouse.inserts import Insert, Inserter, insert_of
from kitepilot import events as e
from kitepilot.config import Config, override
from kitepilot.orders.charges import RATES, Charges, rates_on
from kitepilot.ports import TopicPartition
from kitepilot.risk.exposure import account_charges_paise, charges_paise, unrealised_paise
from kitepilot.run import Run
from kitepilot.topics import TOPICS

pytestmark = pytest.mark.stack

RANDOM_DAYS = 36
LINES = ("brokerage", "transaction", "sebi", "auto_square_off", "gst", "stt", "stamp")


def chosen_dates() -> list[date]:
    """The first and the last day of every table of rates, and days between."""
    edges = [rates.since for rates in RATES] + [rates.since - timedelta(1) for rates in RATES[1:]]
    span = (date(2026, 11, 1) - RATES[0].since).days
    rng = np.random.default_rng(6)
    while len(edges) < RANDOM_DAYS:
        day = RATES[0].since + timedelta(int(rng.integers(0, span)))
        edges += [day] if day not in edges else []
    return sorted(edges)


@dataclass(frozen=True)
class Book:
    """A server with the days archived and the ledger's marts built over them."""

    run: Run
    days: tuple[TradedDay, ...]  # by chance
    told: dict[str, TradedDay]  # each to show one thing, by what it shows
    failed: set[str]  # names of the data tests that did not hold

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with connect(self.run, "dbt", database="kitepilot_marts") as client:
            return list(client.query(sql).named_results())

    def by_run(self, sql: str) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.rows(sql):
            found[row["run_id"]].append(row)
        return found

    def session(self, name: str) -> dict[str, Any]:
        [row] = self.rows(f"select * from dim_sessions where run_id = '{self.told[name].run_id}'")
        return row


class Gathered(Inserter):
    """Keeps what the archives of many runs would insert, and sends it as one batch a table."""

    def __init__(self, run: Run) -> None:
        super().__init__(connect(run, "sink"), run.folder / "spool")
        self._tables: dict[str, list[pa.Table]] = defaultdict(list)

    def high_water(self, tables: Sequence[str], run_id: str) -> dict[tuple[str, TopicPartition], int]:
        return {}  # nothing is stored yet

    def flush(self, inserts: Sequence[Insert]) -> None:
        for insert in inserts:
            self._tables[insert.table].append(pa.ipc.open_stream(insert.body).read_all())

    def send(self) -> None:
        super().flush([_joined(table, parts) for table, parts in self._tables.items()])
        self.close()


def _joined(table: str, parts: list[pa.Table]) -> Insert:
    whole = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    return insert_of(table, {name: whole[name].chunk(0) for name in whole.column_names}, table)


def archive(run: Run, days: Iterable[TradedDay]) -> None:
    gathered = Gathered(run)
    for day in days:
        starts = {(topic.name, 0): 0 for topic in TOPICS}
        archive = Archive(day.run_id, day.day, starts, gathered)
        archive.add(day.records())
        archive.flush()
    gathered.send()


def told_days() -> dict[str, TradedDay]:
    """Days that were out of the ordinary."""
    return {
        "without trades": marked(TradedDay("paper-20261105-0001", date(2026, 11, 5))),
        "half": marked(TradedDay("paper-20240302-0001", date(2024, 3, 2), hours=("09:15", "12:30"))),
        "muhurat": marked(TradedDay("paper-20251021-0001", date(2025, 10, 21), hours=("13:45", "14:45"))),
        "crashed": marked(TradedDay("paper-20261109-0001", date(2026, 11, 9)), gap=(60, 180), until=300),
        "stopped": stopped(TradedDay("live-20261111-0001", date(2026, 11, 11), mode="live")),
        "renamed": marked(
            TradedDay("paper-20261112-0001", date(2026, 11, 12), symbols=TOKENS | {408065: "INFOSYS"})
        ),
        "held": held_past_the_cutoff(TradedDay("paper-20261113-0001", date(2026, 11, 13))),
        "again": marked(TradedDay("paper-20261105-0002", date(2026, 11, 5))),
    }


def marked(day: TradedDay, gap: tuple[int, int] = (0, 0), until: int | None = None) -> TradedDay:
    """A mark in every minute but those of the `gap`, to the close or for so many minutes."""
    for minute in range((day.close_at - day.open_at) // MINUTE if until is None else until):
        if not gap[0] <= minute < gap[1]:
            day.mark(day.open_at + minute * MINUTE + SECOND, {408065: 150_000})
    return day


def stopped(day: TradedDay) -> TradedDay:
    marked(day, until=100)
    day.command(day.open_at + 100 * MINUTE, "flatten")
    return day


def held_past_the_cutoff(day: TradedDay) -> TradedDay:
    day.intend(day.open_at, "I" * 18, 408065, e.Side.BUY, e.Purpose.ENTRY, "vwap_reversion")
    fill = {"run_id": day.run_id, "intent_id": "I" * 18, "order_id": "1", "trade_id": "1", "token": 408065}
    day.trade(
        e.Filled(
            source="gateway",
            seq=0,
            event_at=day.open_at,
            **fill,
            side=e.Side.BUY,
            quantity=10,
            price_paise=149_000,
            filled_at=day.open_at,
        )
    )
    return marked(day)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    if dbt.dbt_program() is None:
        pytest.skip("dbt is not installed: `make bootstrap`")
    home = tmp_path_factory.mktemp("ledger-home")
    (home / "clickhouse" / "data").mkdir(parents=True)
    config = override(Config(), **{"storage.clickhouse_url": f"http://127.0.0.1:{free_port()}"})
    with pytest.MonkeyPatch.context() as patch, opened_book(config, home) as run:
        patch.setenv("DBT_INDIRECT_SELECTION", "cautious")  # no tests that need marts of others
        days = tuple(
            random_day(f"paper-{day:%Y%m%d}-0009", day, seed) for seed, day in enumerate(chosen_dates())
        )
        told = told_days()
        archive(run, [*days, *told.values()])
        outcome = dbt.build(run, None, ["+path:models/marts/ledger"])
        assert not [each for each in outcome.made if each.failed]
        yield Book(run, days, told, {each.name for each in outcome.failures})


# --- profit and charges ---------------------------------------------------------------------------------


def test_profit_and_charges_are_the_cores_to_the_paisa(book: Book) -> None:
    found = book.by_run(
        "select run_id, sum(gross_pnl_paise) as gross, sum(charges_paise) as charges,"
        " sum(unrealised_pnl_paise) as unrealised from fct_pnl_daily group by run_id"
    )
    for day in book.days:
        [row] = found.get(day.run_id, [{"gross": 0, "charges": 0, "unrealised": 0}])
        assert row["gross"] == day.state.realised_paise, day.day
        assert row["charges"] == charges_paise(day.state), day.day
        assert row["unrealised"] == unrealised_paise(day.state), day.day


def test_every_line_of_charges_is_the_cores_for_any_dates_rates(book: Book) -> None:
    found = book.by_run("select * from fct_charges_daily order by line_number")
    for day in book.days:
        ours = day.state.ledger.charges(rates_on(day.day))
        both = day.account_charges
        by_line = {row["charge_line"]: row for row in found[day.run_id]}
        assert {line: row["exact_paise"] for line, row in by_line.items()} == as_lines(ours)
        assert {line: row["rounded_paise"] for line, row in by_line.items()} == as_lines(ours.two_decimals())
        assert {line: row["account_exact_paise"] for line, row in by_line.items()} == as_lines(both)
        assert sum(row["charges_paise"] for row in by_line.values()) == charges_paise(day.state)
        total = sum(row["account_charges_paise"] for row in by_line.values())
        assert total == account_charges_paise(day.state)


def test_the_note_is_the_cores_line_by_line_and_its_orders_add_up_to_it(book: Book) -> None:
    lines = book.by_run("select run_id, charge_line, note_paise from fct_charges_daily")
    sums = ", ".join(f"sum({line}_paise) as {line}" for line in LINES)
    orders = book.by_run(
        f"select run_id, {sums}, sum(charges_paise) as total, sum(net_amount_paise) as received,"
        " sum(trade_count) as trades from fct_contract_note group by run_id"
    )
    for day in book.days:
        note = as_lines(day.note)
        assert {row["charge_line"]: row["note_paise"] for row in lines[day.run_id]} == note, day.day
        [row] = orders[day.run_id]
        assert {line: row[line] for line in LINES} == note, day.day
        assert row["trades"] == len(day.fills)
        value = sum(-fill.side.sign * fill.quantity * fill.price_paise for fill in day.fills.values())
        assert row["received"] == value - sum(note.values())
        assert row["total"] == sum(note.values())


def test_a_round_trip_ends_where_the_core_ends_it(book: Book) -> None:
    """Partial closes, reversals through zero, fills in one nanosecond, foreign trades that close ours."""
    found = book.by_run("select * from fct_round_trips where is_closed")
    assert sum(len(day.trips) for day in book.days) > 150
    for day in book.days:
        told = Counter(
            (
                row["token"],
                row["strategy"],
                row["gross_pnl_paise"],
                row["charges_exact_paise"],
                row["outcome"],
            )
            for row in found.get(day.run_id, [])
        )
        assert told == Counter(
            (trip.token, trip.strategy, trip.gross_paise, trip.charges, trip.outcome) for trip in day.trips
        ), day.day


def test_what_is_still_held_is_the_cores_position_and_its_cost(book: Book) -> None:
    found = book.by_run(
        "select run_id, token, open_quantity, open_cost_paise from fct_round_trips where not is_closed"
    )
    for day in book.days:
        held = {token: each for token, each in day.state.positions.items() if not each.flat}
        assert {
            row["token"]: (row["open_quantity"], row["open_cost_paise"]) for row in found.get(day.run_id, [])
        } == {token: (each.quantity, each.cost_paise) for token, each in held.items()}


def test_the_owners_own_trades_are_told_apart_from_ours(book: Book) -> None:
    found = book.by_run("select run_id, owners_realised_paise, foreign_fill_count from dim_sessions")
    assert any(day.state.foreign_fills for day in book.days)
    for day in book.days:
        [row] = found[day.run_id]
        assert row["owners_realised_paise"] == sum(each.realised_paise for each in day.state.owners.values())
        assert row["foreign_fill_count"] == day.state.foreign_fills


def test_the_minutes_tell_the_account_as_it_was_last_marked_in_each(book: Book) -> None:
    found = book.by_run("select * from fct_pnl_minutes order by run_id, minute_at")
    for day in book.days:
        last: dict[int, e.AccountMarked] = {}
        for _, event in day.said:
            if isinstance(event, e.AccountMarked):
                last[event.event_at // MINUTE] = event
        rows = {int(row["minute_at"].timestamp()) // 60: row for row in found[day.run_id]}
        assert list(rows) == list(range(min(last), max(last) + 1))  # minutes without a mark are there too
        known = last[min(last)]
        for minute, row in rows.items():
            assert (row["marks"] == 0) == (minute not in last)
            known = last.get(minute, known)
            told = (
                row["realised_paise"],
                row["unrealised_paise"],
                row["charges_paise"],
                row["open_positions"],
            )
            assert told == (
                known.realised_paise,
                known.unrealised_paise,
                known.charges_paise,
                known.open_positions,
            )


def test_round_trips_days_and_the_last_minute_say_the_same(book: Book) -> None:
    rows = book.rows(
        """
        select run_id, trips.net as trips_net, daily.net as daily_net, last.net as last_net,
            daily.unrealised as unrealised
        from (select run_id, sum(net_pnl_paise) as net from fct_round_trips group by run_id) as trips
        inner join (
            select run_id, sum(net_pnl_paise) as net, sum(unrealised_pnl_paise) as unrealised
            from fct_pnl_daily group by run_id
        ) as daily using (run_id)
        inner join (
            select run_id, argMax(net_pnl_paise, minute_at) as net from fct_pnl_minutes group by run_id
        ) as last using (run_id)
        """
    )
    assert len(rows) > len(book.days) // 2
    for row in rows:
        assert row["trips_net"] == row["daily_net"] == row["last_net"] - row["unrealised"], row["run_id"]


# --- performance ----------------------------------------------------------------------------------------


def test_ratios_are_those_of_the_daily_results_and_know_their_n(book: Book) -> None:
    trips = book.rows("select * from fct_round_trips where is_closed and run_id like 'paper%'")
    sessions = book.rows(
        "select run_id, session_date from dim_sessions where mode = 'paper' and counts_in_performance"
    )
    days = {row["session_date"] for row in sessions}
    counted = [trip for trip in trips if trip["run_id"] in {row["run_id"] for row in sessions}]
    rows = book.rows("select * from fct_performance where period = 'all' and mode = 'paper'")
    assert {row["dimension"] for row in rows} == {"all", "strategy", "instrument", "hour"}
    for row in rows:
        mine = [trip for trip in counted if belongs(trip, row)]
        daily = Counter(dict.fromkeys(days, 0))
        for trip in mine:
            daily[trip["session_date"]] += trip["net_pnl_paise"]
        nets = [trip["net_pnl_paise"] for trip in sorted(mine, key=lambda t: (t["closed_at"], t["trip_id"]))]
        assert row["days"] == len(days) and row["round_trips"] == len(nets)
        assert row["won"] == sum(trip["outcome"] == "won" for trip in mine)
        assert row["sharpe"] == pytest.approx(
            statistics.mean(daily.values()) / statistics.stdev(daily.values()) * 252**0.5
        )
        downside = (sum(min(net, 0) ** 2 for net in daily.values()) / len(days)) ** 0.5
        sortino = statistics.mean(daily.values()) / downside * 252**0.5 if downside else None
        assert row["sortino"] == (sortino if sortino is None else pytest.approx(sortino))
        lost = -sum(net for net in nets if net < 0)
        factor = sum(net for net in nets if net > 0) / lost if lost else None
        assert row["profit_factor"] == (factor if factor is None else pytest.approx(factor))
        curve = np.cumsum([0, *nets])
        assert row["max_drawdown_paise"] == (np.maximum.accumulate(curve) - curve).max()
        assert row["average_holding_s"] == pytest.approx(statistics.mean(trip["holding_s"] for trip in mine))


def belongs(trip: dict[str, Any], row: dict[str, Any]) -> bool:
    match row["dimension"]:
        case "strategy":
            return bool(trip["strategy"] == row["dimension_value"])
        case "instrument":
            return bool(trip["token"] == row["token"])
        case "hour":
            return bool(trip["opened_hour_ist"] == int(row["dimension_value"]))
    return True


def test_a_period_of_few_days_says_its_n_and_no_ratio(book: Book) -> None:
    rows = book.rows("select * from fct_performance where period = 'month'")
    assert rows
    assert all(row["days"] < 20 and row["sharpe"] is None and row["sortino"] is None for row in rows)


def test_of_several_paper_runs_of_a_day_the_newest_counts(book: Book) -> None:
    rows = book.rows(
        "select run_id, counts_in_performance from dim_sessions where session_date = '2026-11-05'"
    )
    assert {row["run_id"]: row["counts_in_performance"] for row in rows} == {
        "paper-20261105-0001": False,
        "paper-20261105-0002": True,
    }


# --- what a day was -------------------------------------------------------------------------------------


def test_a_day_without_trades_is_there_and_says_so(book: Book) -> None:
    row = book.session("without trades")
    assert (row["fill_count"], row["net_pnl_paise"], row["is_complete"]) == (0, 0, True)
    assert row["what_it_was"] == "no trades"


def test_short_sessions_are_told_from_days_with_missing_hours(book: Book) -> None:
    half, muhurat = book.session("half"), book.session("muhurat")
    assert (half["is_short_session"], half["is_complete"], half["minutes_expected"]) == (True, True, 195)
    assert (muhurat["session_kind"], muhurat["is_complete"]) == ("muhurat", True)
    assert muhurat["what_it_was"].startswith("Muhurat session")


def test_a_crashed_day_says_which_hours_are_missing(book: Book) -> None:
    row = book.session("crashed")
    assert (row["ended"], row["is_complete"]) == ("broken_off", False)
    assert (row["longest_gap_minutes"], row["minutes_marked"], row["minutes_missing"]) == (120, 180, 200)
    assert f"{row['longest_gap_at']:%H:%M}" == "04:45"  # UTC of 10:15
    assert row["what_it_was"] == "no trades; broken off or still running, last mark 14:14; 3.3 h missing"


def test_a_day_that_was_flattened_stopped_early(book: Book) -> None:
    row = book.session("stopped")
    assert (row["ended"], row["mode"], row["minutes_marked"]) == ("stopped_early", "live", 100)


def test_a_renamed_symbol_is_shown_by_both_names_and_its_results_stay_with_the_token(book: Book) -> None:
    assert book.session("renamed")["renamed"] == ["INFY -> INFOSYS"]
    [row] = book.rows("select * from dim_instruments where token = 408065")
    assert row["former_tradingsymbols"] == ["INFOSYS", "INFY"]  # it was called INFY again the next day
    named = book.rows("select dimension_value from fct_performance where token = 408065 and period = 'all'")
    assert [each["dimension_value"] for each in named] == [row["shown_name"]]


def test_a_position_after_the_cutoff_fails_the_books_own_test_and_nothing_else_does(book: Book) -> None:
    assert book.session("held")["minutes_open_after_cutoff"] == 5
    assert book.failed == {"ledger_no_position_is_held_after_the_cutoff"}


def as_lines(charges: Charges) -> dict[str, Decimal]:
    return {line: value for line, value in msgspec.structs.asdict(charges).items() if line in LINES}
