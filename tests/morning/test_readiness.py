"""Red means no trading: each check at its limit and one past it, and the whole table against a sandbox."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback_ports import free_port
from morning_desk import SECRET, Person, StubbornBroker, Venue

from broker_adapter.kite import session as sessions
from kitepilot import config as configuration
from kitepilot.cli import readiness
from kitepilot.cli.login import Way, log_in
from kitepilot.cli.readiness import judgement as j
from kitepilot.cli.readiness import measure
from kitepilot.config import Config, ConfigError
from kitepilot.market import calendar

DAY = date(2026, 11, 20)
NTP_EPOCH_S = 2_208_988_800  # 1900 -> 1970


# --- judgement --------------------------------------------------------------------------------------------


@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=0, max_value=10**9))
def test_the_margin_is_enough_from_its_floor_on(cash: int, floor: int) -> None:
    assert j.judge_margins(cash, floor, "").colour == ("green" if cash >= floor else "red")
    assert j.judge_margins(None, floor, "why").colour == "red"


@given(st.integers(min_value=0, max_value=10**12), st.integers(min_value=0, max_value=10**12))
def test_the_disk_has_room_from_its_floor_on(free: int, floor: int) -> None:
    assert j.judge_disk(free, floor, "/").colour == ("green" if free >= floor else "red")


@pytest.mark.parametrize(
    ("skew", "colour"),
    [
        (j.Skew(ntp_s=0.5), "green"),
        (j.Skew(ntp_s=-0.5), "green"),
        (j.Skew(ntp_s=0.501), "red"),
        (j.Skew(ntp_s=-0.501), "red"),
        (j.Skew(ntp_s=0.0, broker_s=90.0), "green"),  # NTP is the better witness
        (j.Skew(broker_s=1.5), "amber"),
        (j.Skew(broker_s=-1.51), "red"),
        (j.Skew(broker_s=1.8, round_trip_s=0.3), "amber"),
        (j.Skew(broker_s=1.81, round_trip_s=0.3), "red"),
        (j.Skew(), "amber"),
    ],
)
def test_the_clock_is_judged_by_the_best_witness(skew: j.Skew, colour: str) -> None:
    assert j.judge_clock(skew, 0.5).colour == colour


@pytest.mark.parametrize(
    ("registered", "seen", "colour"),
    [
        (["203.0.113.9"], j.Egress("203.0.113.9", "echo"), "green"),
        (["198.51.100.1", "203.0.113.9"], j.Egress("203.0.113.9", "route"), "green"),
        (["203.0.113.9"], j.Egress("203.0.113.10", "echo"), "red"),
        (["203.0.113.9"], j.Egress("8.8.8.8", "route"), "red"),
        (["203.0.113.9"], j.Egress("192.168.1.7", "route"), "amber"),  # behind a router: nobody can tell
        (["203.0.113.9"], j.Egress("192.168.1.7", "echo"), "red"),
        (["203.0.113.9"], j.Egress(), "amber"),
        ([], j.Egress("203.0.113.9", "echo"), "amber"),
        (["2001:db8::7", "203.0.113.9"], j.Egress("203.0.113.9", "echo"), "green"),
        (["2001:db8::7"], j.Egress("203.0.113.9", "echo"), "red"),
    ],
)
def test_only_a_registered_address_may_send_orders(
    registered: list[str], seen: j.Egress, colour: str
) -> None:
    assert j.judge_egress(registered, seen).colour == colour


def test_the_day_must_be_a_session_and_still_young() -> None:
    session = calendar.session(DAY)
    cutoff = session.entry_cutoff_at
    assert j.judge_session(DAY, session, cutoff - 1).colour == "green"
    assert j.judge_session(DAY, session, cutoff).colour == "red"
    assert j.judge_session(DAY, session, None).colour == "green"
    closed = j.judge_session(date(2026, 11, 21), calendar.ClosedDayError("weekend"), None)
    assert (closed.colour, closed.remedy) == ("red", "no trading today")


def test_instruments_without_closing_auction_stocks_stop_a_live_day() -> None:
    def judged(tradable: int, auction: int, *, live: bool) -> str:
        kept = j.DayList(10_000, tradable, auction, 3, DAY - timedelta(days=1))
        return j.judge_instruments(DAY, kept, "", has_auction=live).colour

    assert [judged(2_000, 200, live=True), judged(2_000, 0, live=True)] == ["green", "red"]
    assert [judged(2_000, 0, live=False), judged(0, 0, live=False)] == ["green", "red"]
    assert j.judge_instruments(DAY, None, "damaged", has_auction=True).found == "damaged"


@pytest.mark.parametrize(
    ("last", "open_now", "colour"),
    [
        (None, None, "green"),
        (j.LastRun("r", True, 0), None, "green"),
        (j.LastRun("r", True, 2), 0, "amber"),
        (j.LastRun("r", False, 0), 0, "amber"),
        (j.LastRun("r", None, 0), 0, "amber"),
        (j.LastRun("r", None, 0), 1, "red"),
        (j.LastRun("r", False, 0), None, "red"),
        (j.LastRun("r", True, 2), 2, "red"),
    ],
)
def test_an_unproven_day_before_needs_a_flat_account(
    last: j.LastRun | None, open_now: int | None, colour: str
) -> None:
    assert j.judge_last_run(last, "live", open_now).colour == colour


def test_an_unproven_day_before_says_why_it_was_not_proven() -> None:
    why = "the broker's books could not be read: trades: TokenException"
    assert why in j.judge_last_run(j.LastRun("r", False, 0, why), "live", 0).found


@given(st.lists(st.sampled_from(["green", "amber", "red"]), max_size=12))
def test_the_morning_is_as_good_as_its_worst_check(colours: list[Any]) -> None:
    found = j.worst([j.Check("c", colour, "") for colour in colours])
    order = ["green", "amber", "red"]
    assert order.index(found) == max(map(order.index, colours), default=0)


# --- measurement ------------------------------------------------------------------------------------------


@pytest.fixture
def time_server() -> Iterator[Callable[[float], str]]:
    """`time_server(ahead_s)`: an SNTP server whose clock is so far ahead of ours; its host:port."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def start(ahead_s: float) -> str:
        def answer() -> None:
            try:
                request, caller = server.recvfrom(512)
            except OSError:
                return
            now = time.time() + NTP_EPOCH_S + ahead_s
            stamp = struct.pack("!II", int(now), int(now % 1 * 2**32))
            head = struct.pack("!BBbbIII", 0x1C, 2, 6, -20, 0, 0, 0)
            server.sendto(head + stamp + request[40:48] + stamp + stamp, caller)

        threads.append(threading.Thread(target=answer))
        threads[-1].start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield start
    server.close()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("ahead_s", [3.0, -7.25])
def test_the_skew_is_ours_minus_the_time_servers(time_server: Callable[[float], str], ahead_s: float) -> None:
    measured = measure.ntp_skew(time_server(ahead_s))
    assert measured is not None
    assert measured == pytest.approx(-ahead_s, abs=1.0)


def test_a_silent_time_server_is_no_witness() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        assert measure.ntp_skew(f"127.0.0.1:{mute.getsockname()[1]}") is None
    assert measure.ntp_skew("") is None
    assert measure.ntp_skew("no-such-host.invalid") is None


@pytest.mark.parametrize(
    ("told", "address"),
    [(b"203.0.113.9\n", "203.0.113.9"), (b"<html>", ""), (b"2001:db8::1", ""), (b"", "")],
)
def test_the_echo_service_is_believed_only_with_an_ipv4_address(
    stubborn: StubbornBroker, told: bytes, address: str
) -> None:
    stubborn.says(200, "text/plain", told)
    config = stubborn.config(**{"readiness.egress_echo_url": stubborn.url})
    seen = measure.egress(config)
    assert (seen.ipv4 if seen.by == "echo" else "") == address


def held(config: Config, home: Path, **changes: Any) -> sessions.Session:
    fields = {"api_key": config.broker.api_key, "access_token": "t", "user_id": "AB1234", "login_time": ""}
    session = sessions.Session(**{**fields, "rest_url": config.broker.rest_url, **changes})
    sessions.hold(home, config, session)
    return session


def test_the_brokers_date_shows_a_clock_that_is_a_minute_off(
    stubborn: StubbornBroker, own_home: Path
) -> None:
    config = stubborn.config()
    body = b'{"status":"success","data":{"net":99.999}}'
    date_of = {"Date": formatdate(time.time() - 60, usegmt=True), "Content-Type": "application/json"}
    stubborn.answer = lambda _: (200, date_of, body)
    answer = measure.ask(config, held(config, own_home), "/user/margins/equity")
    assert answer.skew.broker_s == pytest.approx(60, abs=5)
    assert measure.cash_paise(answer) == 9_999  # never rounded up


def test_a_second_used_up_by_the_accounts_other_programs_is_waited_out(
    stubborn: StubbornBroker, own_home: Path
) -> None:
    ready = json.dumps({"data": {"net": 60_000.25}}).encode()
    stubborn.answer = lambda _: (429, {}, b"") if len(stubborn.asked) < 3 else (200, {}, ready)
    config = stubborn.config()
    asked = measure.ask(config, held(config, own_home), "/user/margins/equity")
    assert (measure.cash_paise(asked), len(stubborn.asked)) == (6_000_025, 3)


def test_a_broker_that_answers_429_for_ever_is_named(stubborn: StubbornBroker, own_home: Path) -> None:
    stubborn.says(429, "application/json", b"{}")
    config = stubborn.config()
    asked = measure.ask(config, held(config, own_home), "/user/profile")
    assert (asked.trouble, asked.refused) == ("the broker answered 429 to /user/profile", False)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>", b'{"data": null}', b'{"data": {"net": "much"}}'])
def test_an_answer_that_is_not_kites_is_no_money_and_no_position(
    stubborn: StubbornBroker, own_home: Path, body: bytes
) -> None:
    config = stubborn.config()
    stubborn.says(200, "application/json", body)
    answer = measure.ask(config, held(config, own_home), "/user/margins/equity")
    assert measure.cash_paise(answer) is None
    assert measure.open_intraday(answer) is None


# --- the whole table --------------------------------------------------------------------------------------


@pytest.fixture
def quiet(venue: Venue) -> Config:
    """The sandbox's address, and nothing that leaves this machine; no store runs."""
    return venue.config(
        **{
            "readiness.ntp_server": "",
            "readiness.min_free_gib": 0,
            "readiness.feed_within_s": 60.0,  # as long as a busy machine may take
            "broker.request_timeout_s": 60.0,
            "storage.clickhouse_url": f"http://127.0.0.1:{free_port()}",
        }
    )


def colours(found: list[j.Check]) -> dict[str, str]:
    return {check.name: check.colour for check in found}


def test_a_morning_without_login_and_instruments_is_red_and_says_what_to_do(
    quiet: Config, own_home: Path, command: Callable[..., Any]
) -> None:
    result = command(quiet, "readiness", "--json")
    assert result.exit_code == 3
    told = json.loads(result.output)
    assert told["ready"] == "red"
    red = {check["name"]: check["remedy"] for check in told["checks"] if check["colour"] == "red"}
    assert red.keys() == {"login", "margin", "instruments", "feed"}
    assert all("kitepilot" in remedy for remedy in red.values())


def test_a_morning_with_login_and_instruments_is_ready(
    quiet: Config,
    own_home: Path,
    person: Person,
    command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KITEPILOT_API_SECRET", SECRET)
    log_in(quiet, own_home, Way(wait_s=20), person.reads)
    assert command(quiet, "instruments").exit_code == 0
    found = readiness.checks(quiet, own_home)
    expected = dict.fromkeys(colours(found), "green") | {"clock": "amber"}  # no NTP to ask here
    assert colours(found) == expected
    with pytest.raises(ConfigError, match=r"clock is amber.*--accept-amber"):
        readiness.require(quiet, own_home, accept_amber=False)
    assert readiness.require(quiet, own_home, accept_amber=True)[0].name == "login"
    shown = command(quiet, "readiness")
    assert (shown.exit_code, "if a person accepts" in shown.output) == (0, True), shown.output


def test_a_day_that_did_not_reconcile_is_remembered_by_its_folder(quiet: Config, own_home: Path) -> None:
    run = own_home / "runs" / "paper-20261119-0001"
    run.mkdir(parents=True)
    (own_home / "runs" / "live-20261119-0001").mkdir()  # another mode's business
    for text, colour in (
        ('{"reconciled": true, "open_positions": 0}', "green"),
        ('{"reconciled": false, "open_positions": 0}', "red"),
        ('{"reconciled": true, "open_positions": 1}', "red"),
        ("{", "red"),
    ):
        (run / "result.json").write_text(text)
        assert colours(readiness.checks(quiet, own_home))["last run"] == colour
    (run / "result.json").write_text('{"reconciled": false, "first_difference": "fill: a lacks T1"}')
    found = {check.name: check.found for check in readiness.checks(quiet, own_home)}
    assert "fill: a lacks T1" in found["last run"]


def test_a_dead_token_is_red_though_the_file_says_it_holds(
    quiet: Config, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(quiet, own_home, logged_in_at=time.time_ns())
    found = colours(readiness.checks(quiet, own_home))
    assert (found["login"], found["margin"], found["feed"]) == ("red", "red", "red")


def test_a_store_that_is_elsewhere_must_answer(quiet: Config, own_home: Path) -> None:
    elsewhere = configuration.override(
        quiet,
        **{
            "storage.database_url": f"postgresql+psycopg://kitepilot@127.0.0.1:{free_port()}/kitepilot",
            "log.kind": "kafka",
            "log.bootstrap_servers": f"192.0.2.1:9,127.0.0.1:{free_port()}",
        },
    )
    found = colours(readiness.checks(elsewhere, own_home))
    assert found["PostgreSQL"] == "red"
    assert found["ClickHouse"] == "green"  # embedded: it starts with the system
