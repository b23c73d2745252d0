"""Historical candles: asked for once, in ranges the broker answers, judged, resumed where they stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from morning_desk import SECRET, Person, StubbornBroker, Venue

from broker_adapter.kite import session as sessions
from broker_adapter.kite.candle_download import ATTEMPTS, DownloadError, Source, download
from broker_adapter.kite.candle_files import CandleFileError, CandleFiles, day_of
from broker_adapter.kite.candle_windows import MAX_DAYS, MINUTES, Days, gaps, merged, windows
from broker_adapter.kite.candles import Candle
from broker_adapter.kite.clock import WallClock
from broker_adapter.kite.limits import BlockingLimits, shares_of
from broker_adapter.kite.session import SessionError
from kitepilot.cli.instruments import fetch as fetch_instruments
from kitepilot.cli.login import Way, log_in
from kitepilot.market import calendar

INTERVALS = st.sampled_from(sorted(MAX_DAYS))
DAYS = st.dates(date(2019, 1, 1), date(2026, 12, 31))
RANGES = st.tuples(DAYS, st.integers(min_value=0, max_value=500)).map(
    lambda pair: Days(pair[0], min(pair[0] + timedelta(days=pair[1]), date(2026, 12, 31)))
)
TODAY = date(2026, 11, 20)


@given(INTERVALS, RANGES)
def test_every_day_is_in_one_window_that_one_request_can_hold(interval: str, wanted: Days) -> None:
    cut = list(windows(interval, wanted))
    assert [day for span in cut for day in span if wanted.first <= day <= wanted.last] == list(wanted)
    for span in cut:
        assert (span.last - span.first).days < MAX_DAYS[interval]
        assert span.first.year == span.last.year
        assert span in list(windows(interval, Days(span.last, span.last)))  # whatever range asks for it


@given(RANGES, RANGES, st.lists(RANGES, max_size=4))
def test_the_gaps_are_the_wanted_days_that_nothing_covers(
    window: Days, wanted: Days, known: list[Days]
) -> None:
    found = gaps(window, wanted, known)
    covered = {day for span in known for day in span}
    assert [day for span in found for day in span] == [
        day for day in window if wanted.first <= day <= wanted.last and day not in covered
    ]
    assert merged(found) == found


# --- a market that is asked -------------------------------------------------------------------------------


def truth(day: date, interval: str) -> list[Candle]:
    """Two candles for every session of the calendar, and for no other day."""
    if not calendar.is_open(day):
        return []
    opens = calendar.ist_ns(day, "09:15") // 10**9
    at = [opens, opens + max(MINUTES[interval], 1) * 60] if MINUTES[interval] else [opens - 9 * 3600 - 900]
    price = 10_000 + day.toordinal() % 5_000
    return [Candle(begins, price, price + 10, price - 10, price + 5, day.day) for begins in at]


class Market:
    """The broker's history; `dies_after` requests it is gone, as if the process had been killed."""

    def __init__(self) -> None:
        self.asked: list[Days] = []
        self.dies_after = 10**9

    def __call__(self, token: int, interval: str, days: Days) -> list[Candle]:
        if self.dies_after == 0:
            raise ConnectionAbortedError
        self.dies_after -= 1
        self.asked.append(days)
        return [candle for day in days for candle in truth(day, interval)]


def kept(files: CandleFiles, wanted: Days) -> list[Candle]:
    return [c for span in windows(files.interval, wanted) for c in files.read("S&P", span).candles]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    interval=st.sampled_from(["minute", "15minute", "day"]),
    ranges=st.lists(
        st.tuples(st.dates(date(2026, 1, 1), TODAY), st.integers(min_value=0, max_value=150)),
        min_size=1,
        max_size=4,
    ),
    deaths=st.lists(st.integers(min_value=0, max_value=3), max_size=4),
)
def test_however_often_it_is_killed_each_settled_day_is_fetched_and_kept_once(
    tmp_path_factory: pytest.TempPathFactory,
    interval: str,
    ranges: list[tuple[date, int]],
    deaths: list[int],
) -> None:
    files, market = CandleFiles(tmp_path_factory.mktemp("candles"), interval), Market()
    asked_for = [Days(first, min(first + timedelta(days=n), TODAY)) for first, n in ranges]
    for number, wanted in enumerate(asked_for):
        market.dies_after = deaths[number] if number < len(deaths) else 10**9
        for _ in range(2):
            try:
                download(market, files, "S&P", 257, wanted, TODAY)
            except ConnectionAbortedError:
                market.dies_after = 10**9
                continue
            break
        here = [c for c in kept(files, wanted) if wanted.first <= day_of(c) <= wanted.last]
        assert here == [candle for day in wanted for candle in truth(day, interval)]
    settled = [day for span in market.asked for day in span if day < TODAY]
    assert len(settled) == len(set(settled)) or any(deaths)
    before = {path: path.read_bytes() for path in files.folder.rglob("*.parquet")}
    market.asked.clear()
    market.dies_after = 10**9
    for wanted in asked_for:
        download(market, files, "S&P", 257, wanted, TODAY)
    assert {day for span in market.asked for day in span} <= {TODAY}  # today may still change
    assert {path: path.read_bytes() for path in files.folder.rglob("*.parquet")} == before


def test_a_folder_of_candles_is_one_table_to_any_parquet_reader(tmp_path: Path) -> None:
    files, market = CandleFiles(tmp_path, "minute"), Market()
    wanted = Days(date(2025, 12, 30), date(2026, 1, 2))
    download(market, files, "S&P", 257, wanted, TODAY)
    table = pq.read_table(tmp_path)
    assert set(table["symbol"].to_pylist()) == {"S&P"}
    assert sorted(set(table["year"].to_pylist())) == [2025, 2026]
    assert set(table["in_session"].to_pylist()) == {True}
    assert [days.first.year for days in market.asked] == [2025, 2026]


def test_a_candle_off_the_grid_or_outside_the_session_is_kept_and_marked(tmp_path: Path) -> None:
    opens = calendar.ist_ns(TODAY, "09:15") // 10**9
    times = [opens - 60, opens, opens + 60, opens + 300, opens + 375 * 60]

    def odd(token: int, interval: str, days: Days) -> list[Candle]:
        return [Candle(at, 10, 10, 10, 10, 1) for at in times]

    for interval, expected in (
        ("minute", [False, True, True, True, False]),
        ("5minute", [False, True, False, True, False]),
    ):
        files = CandleFiles(tmp_path, interval)
        download(odd, files, "A", 257, Days(TODAY, TODAY), TODAY + timedelta(days=1))
        (path,) = (tmp_path / f"interval={interval}").rglob("*.parquet")
        assert pq.ParquetFile(path).read()["in_session"].to_pylist() == expected


def test_a_damaged_file_is_named_and_never_silently_replaced(tmp_path: Path) -> None:
    files = CandleFiles(tmp_path, "minute")
    download(Market(), files, "A", 257, Days(date(2026, 1, 5), date(2026, 1, 6)), TODAY)
    (path,) = tmp_path.rglob("*.parquet")
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"x" * 100):
        path.write_bytes(damaged)
        with pytest.raises(CandleFileError, match="is damaged"):
            download(Market(), files, "A", 257, Days(date(2026, 1, 5), date(2026, 1, 7)), TODAY)
        assert path.read_bytes() == damaged


# --- the broker's answers ---------------------------------------------------------------------------------


def body(*rows: str) -> bytes:
    return b'{"status":"success","data":{"candles":[' + ",".join(rows).encode() + b"]}}"


ROW = '["2026-01-05T09:15:00+0530",100.05,100.1,99.95,100,12]'
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def source(stubborn: StubbornBroker) -> Any:
    config = stubborn.config()
    held = sessions.Session(api_key="k", access_token="t", user_id="u", login_time="")
    with sessions.connection(config.broker) as http:
        yield Source(
            http, held, BlockingLimits(WallClock(), shares_of(config.broker)), sleep=lambda seconds: None
        )


MONDAY = Days(date(2026, 1, 5), date(2026, 1, 5))


def test_prices_come_as_whole_paise(source: Source, stubborn: StubbornBroker) -> None:
    stubborn.says(200, "application/json", body(ROW))
    (candle,) = source(257, "minute", MONDAY)
    assert candle[1:] == (10_005, 10_010, 9_995, 10_000, 12)
    assert stubborn.asked == [
        "/instruments/historical/257/minute?from=2026-01-05+00%3A00%3A00&to=2026-01-05+23%3A59%3A59"
    ]


def test_a_throttled_or_failing_broker_is_asked_again(source: Source, stubborn: StubbornBroker) -> None:
    answers = [(429, JSON, b""), (502, {}, b"<html>"), (200, JSON, b"<html>"), (200, JSON, body(ROW))]
    stubborn.answer = lambda path: answers[len(stubborn.asked) - 1]
    assert len(source(257, "minute", MONDAY)) == 1


@pytest.mark.parametrize(
    "reply",
    [
        body(ROW, ROW),  # twice
        body(ROW.replace("09:15", "09:16"), ROW),  # out of order
        body(ROW.replace("2026-01-05", "2026-01-06")),  # another day
        body(ROW.replace("100.05", "100.055")),  # half a paisa
        body(ROW.replace("100.05", "101")),  # above the high
        body(ROW.replace("09:15:00", "09:15:30")),  # no minute
        b"{}",
    ],
)
def test_a_reply_that_cannot_be_believed_is_not_kept(
    source: Source, stubborn: StubbornBroker, reply: bytes, tmp_path: Path
) -> None:
    stubborn.says(200, "application/json", reply)
    with pytest.raises(DownloadError, match="candles of 257"):
        download(source, CandleFiles(tmp_path, "minute"), "A", 257, MONDAY, TODAY)
    assert len(stubborn.asked) == ATTEMPTS
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_refusal_is_not_asked_again(source: Source, stubborn: StubbornBroker) -> None:
    stubborn.says(403, "application/json", b"{}")
    with pytest.raises(SessionError, match="a login is needed"):
        source(257, "minute", MONDAY)
    stubborn.says(400, "application/json", b'{"message":"invalid token"}')
    with pytest.raises(DownloadError, match="invalid token"):
        source(257, "minute", MONDAY)
    assert len(stubborn.asked) == 2


def test_the_command_fetches_once_and_the_second_time_changes_nothing(
    venue: Venue,
    own_home: Path,
    person: Person,
    command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = venue.config()
    words = ["candles", "--from", "2026-11-18", "--to", "2026-11-19", "--no-clickhouse", "--json"]
    assert "a login is needed" in command(config, *words, "ANY").output
    monkeypatch.setenv("KITEPILOT_API_SECRET", SECRET)
    log_in(config, own_home, Way(wait_s=20), person.reads)
    assert "kitepilot instruments" in command(config, *words, "ANY").output
    fetch_instruments(config, own_home)
    assert "not on NSE" in command(config, *words, "ANY").output
    symbol = next(iter(symbols_of(config, own_home)))

    first = command(config, *words, symbol)
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    assert (told["requests"], told["files"], told["outside_session"]) == (1, 1, 0)
    assert 300 < told["candles"] <= 750  # two days of 360 or 375 minutes, those without a trade absent
    files = {path: path.read_bytes() for path in (own_home / "candles").rglob("*.parquet")}
    again = json.loads(command(config, *words, symbol).stdout)
    assert (again["requests"], again["files"]) == (0, 0)
    assert {path: path.read_bytes() for path in (own_home / "candles").rglob("*.parquet")} == files


def symbols_of(config: Any, home: Path) -> list[str]:
    from broker_adapter.kite.instruments_file import Snapshots

    listed = Snapshots.of(home, config.broker).read(TODAY)
    return [
        s
        for s, e in zip(listed["tradingsymbol"].to_pylist(), listed["exchange"].to_pylist(), strict=True)
        if e == "NSE"
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["A", "--interval", "2hour"], "choose one of"),
        (["A", "--from", "soon"], "dates like"),
        (["A", "--from", "2026-02-01", "--to", "2026-01-01"], "not a range"),
        (["A", "--from", "1999-01-01"], "not a range"),
    ],
)
def test_a_wrong_wish_is_one_clear_line(
    stubborn: StubbornBroker, own_home: Path, command: Callable[..., Any], words: list[str], told: str
) -> None:
    result = command(stubborn.config(), "candles", *words)
    assert (result.exit_code, result.output.count("error:")) == (2, 1)
    assert told in result.output
