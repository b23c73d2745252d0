"""A person logs in at the broker's page; the session is kept sealed and shown to nobody."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from morning_desk import SECRET, MemoryKeyring, Person, Venue
from rich.pretty import pretty_repr

from broker_adapter.kite import login as page
from broker_adapter.kite import session as sessions
from broker_adapter.kite.session import Session, SessionError
from infra.key_urls import SecretError
from kitepilot.cli.login import Held, Way, log_in, log_out, status, too_early
from kitepilot.config import BrokerSection
from kitepilot.market.calendar import ist_date, ist_ns, to_ist
from kitepilot.run import Run

DAY_NS = 86_400_000_000_000


@pytest.fixture
def logged_in(venue: Venue, own_home: Path, person: Person, monkeypatch: pytest.MonkeyPatch) -> Held:
    monkeypatch.setenv("KITEPILOT_API_SECRET", SECRET)
    return log_in(venue.config(), own_home, Way(wait_s=20), person.reads)


def test_a_person_logs_in_and_a_live_run_finds_the_session(
    logged_in: Held, venue: Venue, own_home: Path, person: Person
) -> None:
    seen = person.has_seen_a_page()
    assert (seen.status_code, page.DONE in seen.text) == (200, True)
    run = Run("live-20261120-0001", own_home / "runs" / "live-20261120-0001", venue.config(mode="live"))
    session = sessions.load(run)
    assert session.user_id == logged_in.user_id
    profile = httpx.get(
        f"{venue.rest}/user/profile", headers=session.authorization, timeout=10, trust_env=False
    )
    assert profile.status_code == 200
    assert (own_home / sessions.FILE).stat().st_mode & 0o777 == 0o600


def test_the_stored_login_cannot_be_read_without_the_key(
    logged_in: Held, venue: Venue, own_home: Path, memory_keyring: MemoryKeyring
) -> None:
    token = sessions.held(own_home, venue.config(), 0).access_token
    assert token.encode() not in (own_home / sessions.FILE).read_bytes()
    memory_keyring.kept["kitepilot", "key"] = "A" * 43 + "="
    with pytest.raises(SessionError, match=r"another key.*a login is needed"):
        status(venue.config(), own_home)
    del memory_keyring.kept["kitepilot", "key"]
    with pytest.raises(SessionError, match=r"no entry kitepilot/key: a login is needed"):
        status(venue.config(), own_home)


def test_the_token_and_the_secret_are_told_to_nobody(
    venue: Venue,
    own_home: Path,
    person: Person,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Everything a terminal, a log at INFO, a traceback or a config dump could show, searched."""
    monkeypatch.setenv("KITEPILOT_API_SECRET", SECRET)
    caplog.set_level(logging.INFO)
    told: list[str] = []

    def says(text: str) -> None:
        told.append(text)
        person.reads(text)

    held = log_in(venue.config(), own_home, Way(wait_s=20), says)
    session = sessions.held(own_home, venue.config(), 0)
    brought = parse_qs(urlsplit(str(person.has_seen_a_page().url)).query)["request_token"][0]
    other_key = venue.config(**{"broker.api_key": "another"})
    with pytest.raises(SessionError) as wrong_key:
        sessions.held(own_home, other_key, 0)
    with pytest.raises(SessionError) as used, sessions.connection(venue.config().broker) as http:
        sessions.exchange(http, session.api_key, brought, SECRET)
    told.append(log_out(venue.config(), own_home))
    shown = capfd.readouterr()
    visible = [*told, shown.out, shown.err, repr(session), pretty_repr(session), str(held)]
    visible += [str(wrong_key.value), str(used.value), repr(used.value.__cause__)]
    visible += [r.getMessage() for r in caplog.records if r.name != "httpx" or "login" not in r.getMessage()]
    for secret in (session.access_token, brought, SECRET):
        assert not any(secret in text for text in visible)


def test_a_logout_ends_the_session_at_the_broker_too(logged_in: Held, venue: Venue, own_home: Path) -> None:
    session = sessions.held(own_home, venue.config(), 0)
    assert "logged out" in log_out(venue.config(), own_home)
    reply = httpx.get(f"{venue.rest}/user/profile", headers=session.authorization, trust_env=False)
    assert reply.status_code == 403
    with pytest.raises(SessionError, match="a login is needed"):
        status(venue.config(), own_home)
    assert log_out(venue.config(), own_home) == "not logged in"


def test_a_login_of_somebody_else_is_ended_and_not_kept(
    venue: Venue, own_home: Path, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITEPILOT_API_SECRET", SECRET)
    with pytest.raises(SessionError, match=r"broker.user_id is ZZ0001: nothing was kept"):
        log_in(venue.config(**{"broker.user_id": "ZZ0001"}), own_home, Way(wait_s=20), person.reads)
    assert not (own_home / sessions.FILE).exists()


def test_a_login_that_could_not_be_kept_is_refused_before_anybody_logs_in(
    venue: Venue, own_home: Path, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITEPILOT_API_SECRET", SECRET)
    monkeypatch.setenv("KITEPILOT_KEY", "too short")
    with pytest.raises(SecretError, match="not 32 bytes"):
        log_in(venue.config(), own_home, Way(wait_s=20), person.reads)
    assert not person.pages


def test_a_forged_redirect_is_refused_and_the_true_one_still_taken() -> None:
    with page.listening("http://127.0.0.1:0/kitepilot", "mine") as redirect:
        here = f"http://127.0.0.1:{redirect.port}/kitepilot"
        query = "?status=success&request_token=abc"
        forged = httpx.get(f"{here}{query}&state=theirs", trust_env=False)
        stateless = httpx.get(f"{here}{query}", trust_env=False)
        icon = httpx.get(f"http://127.0.0.1:{redirect.port}/favicon.ico", trust_env=False)
        assert [forged.status_code, stateless.status_code, icon.status_code] == [403, 403, 404]
        with pytest.raises(SessionError, match="no login within"):
            redirect.wait(0.0)
        assert httpx.get(f"{here}{query}&state=mine", trust_env=False).status_code == 200
        assert page.request_token(redirect.wait(10), "mine") == "abc"


def test_the_redirect_must_come_to_this_machine() -> None:
    for url in ("https://example.org/back", "http://192.0.2.1:80/x", "http://127.0.0.1/no-port"):
        with pytest.raises(SessionError, match="--paste"), page.listening(url, "s"):
            pass


def test_a_taken_redirect_port_is_one_clear_line() -> None:
    with page.listening("http://127.0.0.1:0/kitepilot", "s") as first:
        url = f"http://127.0.0.1:{first.port}/kitepilot"
        with pytest.raises(SessionError, match="cannot listen"), page.listening(url, "s"):
            pass


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("http://127.0.0.1/k?status=success&request_token=abc&state=other", "another login|state differs"),
        ("http://127.0.0.1/k?status=success&request_token=abc", "state differs"),
        ("http://127.0.0.1/k?status=error&state=s", "did not succeed"),
        ("http://127.0.0.1/k?status=success&state=s", "no request token"),
        ("http://127.0.0.1/k?status=success&state=s&request_token=a%3Cb", "no request token"),
        ("", "no request token"),
        ("https://kite.zerodha.com/", "no request token"),
        ("a" * 200, "no request token"),
    ],
)
def test_an_answer_without_a_usable_token_is_refused(answer: str, told: str) -> None:
    with pytest.raises(SessionError, match=told):
        page.request_token(answer, "s")


@given(st.text(alphabet="abcdefXYZ0189", min_size=1, max_size=64), st.text(min_size=1, max_size=40))
def test_the_token_comes_back_through_any_state(token: str, state: str) -> None:
    url = page.login_url(BrokerSection(rest_url=page.KITE_ROOT, api_key="key"), state)
    assert url.startswith("https://kite.zerodha.com/connect/login?v=3&api_key=key&redirect_params=")
    carried = parse_qs(urlsplit(url).query)["redirect_params"][0]  # the broker appends it to the redirect
    back = f"http://127.0.0.1:1/k?status=success&request_token={token}&{carried}"
    assert page.request_token(back, state) == token
    assert page.request_token(token, state) == token
    assert page.request_token(back, None) == token, "handed over by a person, of whatever attempt"


@given(st.integers(min_value=1_700_000_000 * 10**9, max_value=1_900_000_000 * 10**9))
def test_every_login_ends_at_the_next_six_in_the_morning(at: int) -> None:
    session = Session(api_key="k", access_token="t", user_id="u", login_time="", logged_in_at=at)
    end = to_ist(session.ends_at)
    assert (end.hour, end.minute, end.second) == (6, 0, 0)
    assert 0 < session.ends_at - at <= DAY_NS


def test_the_login_holds_until_six_and_not_a_nanosecond_longer(
    logged_in: Held, venue: Venue, own_home: Path
) -> None:
    session = sessions.held(own_home, venue.config(), 0)
    assert sessions.held(own_home, venue.config(), session.ends_at - 1) == session
    with pytest.raises(SessionError, match=r"ended at .* 06:00 IST: a login is needed"):
        sessions.held(own_home, venue.config(), session.ends_at)


def test_a_token_is_never_given_to_another_broker(logged_in: Held, venue: Venue, own_home: Path) -> None:
    elsewhere = venue.config(**{"broker.rest_url": "http://127.0.0.1:1"})
    with pytest.raises(SessionError, match="a login is needed"):
        sessions.held(own_home, elsewhere, 0)


def test_a_login_in_the_small_hours_is_warned_of() -> None:
    day = ist_date(1_795_146_300_000_000_000)
    told = [too_early(ist_ns(day, at)) for at in ("05:59", "06:00", "07:29", "07:30", "08:45")]
    assert told == [False, True, True, False, False]


def test_the_command_line_logs_in_shows_it_and_logs_out(
    venue: Venue,
    own_home: Path,
    person: Person,
    command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    memory_keyring: MemoryKeyring,
) -> None:
    config = venue.config()
    before = command(config, "login", "--status", "--json")
    assert (before.exit_code, json.loads(before.output)["logged_in"]) == (3, False)

    monkeypatch.setenv("KITEPILOT_API_SECRET", SECRET)
    reply = httpx.get(page.login_url(config.broker, "unused"), trust_env=False)
    token = parse_qs(urlsplit(reply.headers["location"]).query)["request_token"][0]
    done = command(config, "login", "--request-token", token, "--remember", "--json")
    assert done.exit_code == 0, done.output
    assert token not in done.output
    assert memory_keyring.kept["kitepilot", config.broker.api_key] == SECRET

    monkeypatch.delenv("KITEPILOT_API_SECRET")
    shown = command(config, "login", "--status")
    assert shown.exit_code == 0
    assert "06:00 IST" in shown.output
    again = command(config, "login", "--request-token", token)  # the secret now comes from the keyring
    assert (again.exit_code, again.output.count("error:")) == (2, 1)
    assert "refused" in again.output
    assert "logged out" in command(config, "logout").output


def test_a_paper_run_has_a_session_and_a_key_of_its_own(venue: Venue, own_home: Path) -> None:
    run = Run("paper-1", own_home / "runs" / "paper-1", venue.config())
    run.folder.mkdir(parents=True)
    token = sessions.login_to_sandbox(run, SECRET)
    assert sessions.load(run).access_token == token
    for name in (sessions.FILE, sessions.RUN_KEY_FILE):
        assert (run.folder / name).stat().st_mode & 0o777 == 0o600
    other = dataclasses.replace(run, folder=own_home / "runs" / "paper-2")
    with pytest.raises(SessionError, match="a login is needed"):
        sessions.load(other)
