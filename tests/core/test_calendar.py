"""The session table: known days, known closures, failing closed, and two public calendars as witnesses."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from kitepilot.events import InstrumentTerms
from kitepilot.market import calendar
from kitepilot.market.calendar import ClosedDayError, UnknownDayError, ist_ns, session, to_ist
from kitepilot.market.instruments import Instrument

FIRST, LAST = date(2016, 1, 1), date(2026, 12, 31)
SHARED = Path(os.environ.get("KITEPILOT_SHARED", Path(__file__).parents[2].parent / "shared"))


def days(first: date = FIRST, last: date = LAST) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def clock(at: int) -> str:
    return to_ist(at).strftime("%H:%M")


def share(closing_auction: bool) -> Instrument:
    return Instrument(257, 1, "ALPHA", "ALPHA LTD", 5, 1, "NSE", "EQ", closing_auction)


def times(terms: InstrumentTerms) -> list[str]:
    return [
        clock(at)
        for at in (terms.entry_cutoff_at, terms.square_off_at, terms.force_flat_at, terms.continuous_close_at)
    ]


def test_the_last_day_before_the_closing_auction_is_one_regime_for_all() -> None:
    day = session(date(2026, 7, 31))
    assert times(calendar.terms(day, share(True))) == ["14:45", "15:10", "15:15", "15:30"]
    assert times(calendar.terms(day, share(False))) == ["14:45", "15:10", "15:15", "15:30"]
    assert clock(day.close_at) == "15:30"


def test_from_3_august_2026_auction_stocks_close_at_quarter_past_three_and_we_leave_earlier() -> None:
    day = session(date(2026, 8, 3))
    assert times(calendar.terms(day, share(True))) == ["14:45", "15:00", "15:05", "15:15"]
    assert times(calendar.terms(day, share(False))) == ["14:45", "15:00", "15:05", "15:30"]
    assert (clock(day.alarm_at), clock(day.close_at)) == ("15:08", "15:35")


def test_a_time_of_its_own_moves_an_instruments_whole_exit_earlier_and_never_later() -> None:
    day = session(date(2026, 8, 3))
    early = calendar.terms(day, share(True), calendar.ist_ns(day.date, "14:30"))
    assert times(early) == ["14:30", "14:30", "14:35", "15:15"]
    late = calendar.terms(day, share(False), calendar.ist_ns(day.date, "15:20"))
    assert late == calendar.terms(day, share(False))


@pytest.mark.parametrize(
    ("day", "entry_end"),
    [(date(2026, 9, 4), "09:08"), (date(2026, 9, 7), "09:10"), (date(2021, 5, 18), "09:08")],
)
def test_the_pre_open_regime_changes_on_7_september_2026(day: date, entry_end: str) -> None:
    of = session(day)
    assert [clock(at) for at in (of.pre_open_at, of.pre_open_end_at, of.open_at)] == [
        "09:00",
        entry_end,
        "09:15",
    ]


@pytest.mark.parametrize("day", [date(2020, 2, 1), date(2024, 1, 20), date(2025, 2, 1), date(2026, 2, 1)])
def test_full_weekend_sessions_are_traded(day: date) -> None:
    assert day.weekday() >= 5
    assert session(day).kind == "full" and clock(session(day).continuous_close_at) == "15:30"


@pytest.mark.parametrize(
    ("day", "windows"),
    [
        (date(2024, 3, 2), ["09:15-10:00", "11:30-12:30"]),
        (date(2024, 5, 18), ["09:15-10:00", "11:30-12:30"]),
        (date(2025, 10, 21), ["13:45-14:45"]),
        (date(2023, 11, 12), ["18:15-19:15"]),
        (date(2021, 2, 24), ["09:15-11:40", "15:45-17:00"]),
    ],
)
def test_special_sessions_are_closed_to_us_unless_asked_for(day: date, windows: list[str]) -> None:
    with pytest.raises(ClosedDayError, match="special session"):
        session(day)
    special = session(day, allow_special=True)
    assert [f"{clock(start)}-{clock(end)}" for start, end in special.windows] == windows
    assert special.open_at < special.entry_cutoff_at < special.square_off_at < special.force_flat_at
    assert special.force_flat_at < special.alarm_at < special.continuous_close_at


def test_a_muhurat_without_announced_hours_stays_closed() -> None:
    with pytest.raises(ClosedDayError, match="not announced"):
        session(date(2026, 11, 8), allow_special=True)


@pytest.mark.parametrize("day", [date(2015, 12, 31), date(2027, 1, 1), date(2030, 6, 3)])
def test_a_year_the_table_does_not_cover_is_an_error_not_a_guess(day: date) -> None:
    with pytest.raises(UnknownDayError, match="2016-2026"):
        session(day)
    with pytest.raises(UnknownDayError):
        calendar.is_open(day)


def test_a_closed_day_says_why_and_when_trading_resumes() -> None:
    with pytest.raises(ClosedDayError, match=r"Gurunanak Jayanti\. The next session is 2026-11-25"):
        session(date(2026, 11, 24))
    with pytest.raises(ClosedDayError, match=r"weekend\. The next session is 2026-11-23"):
        session(date(2026, 11, 21))
    assert not calendar.is_open(date(2026, 1, 15))


def test_neighbouring_sessions_step_over_closures_and_stop_at_the_tables_ends() -> None:
    assert calendar.next_session(date(2026, 11, 20)) == date(2026, 11, 23)
    assert calendar.previous_session(date(2025, 2, 3)) == date(2025, 2, 1)
    assert calendar.next_session(LAST) is None
    assert calendar.previous_session(FIRST) is None


def test_ist_is_five_and_a_half_hours_ahead() -> None:
    at = ist_ns(date(2026, 11, 20), "09:15")
    assert at == int(datetime(2026, 11, 20, 3, 45, tzinfo=UTC).timestamp()) * 10**9
    assert to_ist(at + 1_999).isoformat() == "2026-11-20T09:15:00.000001+05:30"
    assert calendar.to_utc(at).isoformat() == "2026-11-20T03:45:00+00:00"
    assert calendar.ist_date(ist_ns(date(2026, 11, 20), "00:00")) == date(2026, 11, 20)


def test_every_session_is_in_order() -> None:
    for day in days():
        if calendar.is_open(day):
            of = session(day)
            assert of.pre_open_at < of.pre_open_end_at < of.open_at < of.entry_cutoff_at < of.square_off_at
            assert of.square_off_at < of.force_flat_at < of.alarm_at
            assert of.force_flat_at <= of.auction_continuous_close_at <= of.continuous_close_at <= of.close_at


def test_pandas_market_calendars_agrees_but_for_weekends_and_short_sessions() -> None:
    pmc = pytest.importorskip("pandas_market_calendars")
    theirs = {stamp.date() for stamp in pmc.get_calendar("NSE").valid_days(FIRST, LAST)}
    ours = {day for day in days() if calendar.is_open(day)}
    weekends = {date(2020, 2, 1), date(2024, 1, 20), date(2025, 2, 1), date(2026, 2, 1)}
    assert ours - theirs == weekends  # it cannot express a session on a weekend
    weekday_muhurats = {date(2017, 10, 19), date(2018, 11, 7), date(2021, 11, 4), date(2022, 10, 24)}
    weekday_muhurats |= {date(2024, 11, 1), date(2025, 10, 21)}
    assert theirs - ours == weekday_muhurats | {date(2021, 2, 24)}  # to us the outage day is special


def test_exchange_calendars_agrees_but_for_weekends() -> None:
    xcals = pytest.importorskip("exchange_calendars")
    bombay = xcals.get_calendar("XBOM", start="2016-01-01", end="2026-12-31")
    theirs = {stamp.date() for stamp in bombay.sessions}
    ours = {day for day in days() if calendar.is_open(day)}
    weekends = {date(2020, 2, 1), date(2024, 1, 20), date(2025, 2, 1), date(2026, 2, 1)}
    assert ours - theirs == weekends
    assert theirs - ours == {date(2021, 2, 24)}  # to us the outage day is special


@pytest.mark.shared_data
@pytest.mark.skipif(
    not (SHARED / "data/calendar").is_dir(), reason="no ../shared/data/calendar beside the checkout"
)
def test_every_day_the_exchange_published_prices_for_is_a_session_and_no_other() -> None:
    with (SHARED / "data/calendar/nse_sessions_from_bhavcopy.csv").open() as file:
        traded = {date.fromisoformat(row["date"]) for row in csv.DictReader(file)}
    for day in days(date(2019, 11, 1), max(traded)):
        if day in traded:
            session(day, allow_special=True)
        else:
            assert not calendar.is_open(day) or day == date(2022, 8, 8), (
                day
            )  # the folder lacks that day's file
