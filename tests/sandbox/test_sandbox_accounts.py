"""Logins and tokens, with both clocks in the test's hand."""

from __future__ import annotations

import hashlib
import urllib.parse
from datetime import timedelta

import pytest
from small_market import DAY, S, ist

from broker_adapter.sandbox.accounts import REQUEST_TOKEN_LIFE_NS, Accounts, session_end
from broker_adapter.sandbox.errors import KiteError
from kitepilot.market import calendar

KEY, SECRET = "some_key", "some_secret"


class Desk:
    def __init__(self, **options) -> None:
        self.machine, self.session, self.kept = 5 * S, ist("09:00"), b""
        self.options = options
        self.accounts = self.restarted()

    def restarted(self) -> Accounts:
        return Accounts(
            KEY,
            SECRET,
            "http://127.0.0.1:5000/back?page=1",
            lambda: self.machine,
            lambda: self.session,
            save=self._keep,
            **self.options,
        )

    def _keep(self, saved: bytes) -> None:
        self.kept = saved

    def request_token(self, redirect_params: str = "") -> str:
        target = self.accounts.login(KEY, redirect_params)
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query))["request_token"]

    def exchange(self, request_token: str, secret: str = SECRET) -> str:
        checksum = hashlib.sha256((KEY + request_token + secret).encode()).hexdigest()
        return self.accounts.exchange(KEY, request_token, checksum)

    def session_token(self) -> str:
        return self.exchange(self.request_token())

    def alive(self, token: str) -> bool:
        return self.accounts.authorised(KEY, token)


def refusal(call) -> tuple[int, str]:
    with pytest.raises(KiteError) as refused:
        call()
    return refused.value.status, refused.value.error_type


def test_a_login_goes_back_with_status_action_type_and_what_was_sent_along():
    target = Desk().accounts.login(KEY, "state=a%20b&status=failed")
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query))
    token = query.pop("request_token")
    assert token.isalnum()
    assert query == {"page": "1", "state": "a b", "status": "success", "action": "login", "type": "login"}


def test_a_request_token_buys_one_session():
    desk = Desk()
    token = desk.request_token()
    desk.exchange(token)
    assert refusal(lambda: desk.exchange(token)) == (403, "TokenException")


@pytest.mark.parametrize(
    ("waited", "late"), [(REQUEST_TOKEN_LIFE_NS, False), (REQUEST_TOKEN_LIFE_NS + 1, True)]
)
def test_a_request_token_lives_five_minutes(waited, late):
    desk = Desk()
    token = desk.request_token()
    desk.machine += waited
    if late:
        assert refusal(lambda: desk.exchange(token)) == (403, "TokenException")
    else:
        assert desk.alive(desk.exchange(token))


def test_a_wrong_secret_is_refused_and_leaves_the_request_token_good():
    desk = Desk()
    token = desk.request_token()
    assert refusal(lambda: desk.exchange(token, "guess")) == (400, "InputException")
    assert desk.alive(desk.exchange(token))


def test_a_session_ends_at_six_the_next_morning():
    desk = Desk()
    token = desk.session_token()
    six = calendar.ist_ns(DAY + timedelta(days=1), "06:00")
    assert session_end(desk.session) == six
    desk.session = six - 1
    assert desk.alive(token)
    desk.session = six
    assert not desk.alive(token)
    assert refusal(lambda: desk.accounts.check_header(f"token {KEY}:{token}")) == (403, "TokenException")


def test_a_session_of_the_small_hours_ends_the_same_morning():
    assert session_end(ist("05:59")) == ist("06:00")
    assert session_end(ist("06:00")) == calendar.ist_ns(DAY + timedelta(days=1), "06:00")


def test_logging_out_ends_one_session_and_expiry_ends_all():
    desk = Desk()
    first, second, third = (desk.session_token() for _ in range(3))
    desk.accounts.logout(KEY, first)
    assert (desk.alive(first), desk.alive(second), desk.alive(third)) == (False, True, True)
    assert refusal(lambda: desk.accounts.logout(KEY, first)) == (403, "TokenException")
    desk.accounts.expire()
    assert not desk.alive(second) and not desk.alive(third)


@pytest.mark.parametrize("single", [False, True])
def test_whether_a_second_login_ends_the_first_is_a_setting(single):
    desk = Desk(single_session=single)
    first = desk.session_token()
    assert desk.alive(desk.session_token())
    assert desk.alive(first) is not single


def test_sessions_outlive_a_restart_and_what_is_kept_cannot_log_in():
    desk = Desk()
    token = desk.session_token()
    assert token.encode() not in desk.kept
    desk.accounts = desk.restarted()
    assert not desk.alive(token)
    desk.accounts.restore(desk.kept)
    assert desk.alive(token)


@pytest.mark.parametrize(
    ("header", "status"),
    [("", 400), ("token some_key:nonsense", 403), ("Bearer abc", 403), ("token", 403)],
)
def test_without_credentials_400_with_wrong_ones_403(header, status):
    assert refusal(lambda: Desk().accounts.check_header(header))[0] == status
