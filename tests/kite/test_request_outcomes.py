"""Accepted, rejected, unknown: what each kind of reply proves, by the stock client over real sockets."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from test_kite_rows import INTENT

from broker_adapter.kite import session
from broker_adapter.kite.breaker import TRIPS_AFTER
from broker_adapter.kite.client import BrokerReadError, KiteBroker
from broker_adapter.kite.parse import RowError
from kitepilot import config as configuration
from kitepilot.events import ApprovedIntent, Purpose
from kitepilot.orders.intents import tag
from kitepilot.ports import Accepted, AuthLost, FundsReport, Rejected, Throttled, Unknown
from kitepilot.run import Run

Reply = tuple[int, str, str]  # status, content type, body
JSON = "application/json"


class Venue:
    """A server whose next replies are set by the test; it keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply | Callable[[BaseHTTPRequestHandler], None]] = []
        self.asked: list[tuple[str, str, str]] = []
        venue = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length).decode()
                venue.asked.append((self.command, self.path, body))
                reply = venue.replies.pop(0) if len(venue.replies) > 1 else venue.replies[0]
                if callable(reply):
                    reply(self)
                    return
                status, kind, text = reply
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", "/elsewhere")
                if kind:
                    self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def venue() -> Iterator[Venue]:
    venue = Venue()
    yield venue
    venue.server.shutdown()
    venue.server.server_close()


def run_against(url: str, folder: Path) -> Run:
    config = configuration.build({"broker": {"rest_url": url, "request_timeout_s": 0.4}})
    run = Run("paper-x", folder / "runs" / "paper-x", config)
    run.folder.mkdir(parents=True)
    return run


@pytest.fixture
def run(venue: Venue, tmp_path: Path) -> Run:
    run = run_against(venue.url, tmp_path)
    session.save(run, session.Session(api_key="key", access_token="t", user_id="AB1234", login_time=""))
    return run


def ok(data: object) -> Reply:
    return (200, JSON, json.dumps({"status": "success", "data": data}))


def error(status: int, kind: str, message: str) -> Reply:
    return (status, JSON, json.dumps({"status": "error", "error_type": kind, "message": message}))


def hang(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.8)
    handler.close_connection = True


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()
    handler.close_connection = True


TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."


IP_REFUSED = "IP (203.0.113.9) is not allowed to place orders for this app."
DAY_CAP = "Maximum allowed order requests exceeded"


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", JSON)
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(b'{"status": "success", "data": {"order_id": "7')
    handler.close_connection = True


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (ok({"order_id": "1953341975595868160"}), Accepted),
        (ok({}), Unknown),
        (ok({"order_id": ""}), Unknown),
        (ok(None), Unknown),
        (error(400, "InputException", "Invalid `quantity`."), Rejected),
        (error(400, "MarginException", "Insufficient funds"), Rejected),
        (error(400, "OrderException", TIMED_OUT), Unknown),
        (error(400, "InputException", TIMED_OUT), Unknown),
        (error(403, "TokenException", "Incorrect `api_key` or `access_token`."), AuthLost),
        (error(403, "PermissionException", "Insufficient permission for that call."), Rejected),
        (error(403, "PermissionException", IP_REFUSED), Rejected),
        (error(403, "TokenException", IP_REFUSED), Rejected),
        (error(400, "InputException", "Invalid `api_key` or `access_token`."), AuthLost),
        (error(429, "NetworkException", DAY_CAP), Rejected),
        (error(400, "OrderException", DAY_CAP), Rejected),
        (error(404, "GeneralException", "Route not found"), Rejected),
        (error(408, "InputException", "Request Timeout"), Unknown),
        (error(499, "InputException", "client closed"), Unknown),
        (error(400, "NetworkException", "odd"), Unknown),
        (error(429, "NetworkException", "Too many requests"), Throttled),
        (error(500, "OrderException", "oops"), Unknown),
        (error(500, "GeneralException", "oops"), Unknown),
        (error(503, "NetworkException", "Request failed (kitetrade-oms)"), Unknown),
        (error(504, "DataException", "gateway"), Unknown),
        ((502, "text/html", "<html>bad gateway</html>"), Unknown),
        ((200, "", "no content type"), Unknown),
        ((200, JSON, "{not json"), Unknown),
        ((200, JSON, "[]"), Unknown),
        ((307, JSON, "{}"), Unknown),
        (ok({"order_id": ["7"]}), Unknown),
        (ok({"order_id": True}), Unknown),
        (ok({"order_id": 151220000000000}), Accepted),
        (cut_short, Unknown),
        (hang, Unknown),
        (hang_up, Unknown),
    ],
)
def test_an_order_request_is_sent_once_and_its_outcome_is_what_the_reply_proves(
    venue: Venue, run: Run, reply: Reply, kind: type
) -> None:
    venue.replies = [reply]
    outcome = KiteBroker(run).submit(INTENT, tag(INTENT.intent_id), INTENT.quantity)
    assert isinstance(outcome, kind), outcome
    assert len(venue.asked) == 1
    assert "tag=ABCDEFGHIJKLMNOP2700" in venue.asked[0][2]
    assert "price=1573.05" in venue.asked[0][2]


def test_no_connection_is_no_order(tmp_path: Path) -> None:
    run = run_against("http://127.0.0.1:9", tmp_path)
    session.save(run, session.Session(api_key="key", access_token="t", user_id="", login_time=""))
    outcome = KiteBroker(run).submit(INTENT, tag(INTENT.intent_id), INTENT.quantity)
    assert isinstance(outcome, Rejected) and outcome.code == "unreachable"


def test_without_a_login_nothing_is_sent(venue: Venue, tmp_path: Path) -> None:
    outcome = KiteBroker(run_against(venue.url, tmp_path)).submit(
        INTENT, tag(INTENT.intent_id), INTENT.quantity
    )
    assert isinstance(outcome, AuthLost) and "login is needed" in outcome.message
    assert venue.asked == []


def test_an_intent_kite_cannot_take_is_not_sent(venue: Venue, run: Run) -> None:
    outcome = KiteBroker(run).submit(INTENT, tag(INTENT.intent_id), 0)
    assert isinstance(outcome, Rejected) and outcome.code == "intent"
    assert venue.asked == []


def test_a_new_login_is_picked_up_after_the_old_one_died(venue: Venue, run: Run) -> None:
    venue.replies = [error(403, "TokenException", "expired"), ok({"order_id": "7"})]
    broker = KiteBroker(run)
    assert isinstance(broker.submit(INTENT, tag(INTENT.intent_id), INTENT.quantity), AuthLost)
    session.save(run, session.Session(api_key="key", access_token="fresh", user_id="", login_time=""))
    assert broker.submit(INTENT, tag(INTENT.intent_id), INTENT.quantity) == Accepted("7")


def test_a_cancel_has_an_outcome_too(venue: Venue, run: Run) -> None:
    venue.replies = [ok({"order_id": "7"})]
    assert KiteBroker(run).cancel("7") == Accepted("7")
    assert venue.asked[0][:2] == ("DELETE", "/orders/regular/7")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (IP_REFUSED, "ip_refused"),
        ("No IPs configured for this app.", "ip_refused"),
        (DAY_CAP, "day_cap"),
        ("The order for ID 7 does not exist", "order_gone"),
        ("Order is already complete", "OrderException"),
    ],
)
def test_refusals_that_ask_for_something_special_have_names(
    venue: Venue, run: Run, text: str, code: str
) -> None:
    venue.replies = [error(400, "OrderException", text)]
    outcome = KiteBroker(run).cancel("7")
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.message) == (code, text)


def test_a_modification_moves_the_price_and_nothing_else(venue: Venue, run: Run) -> None:
    venue.replies = [ok({"order_id": "7"})]
    assert KiteBroker(run).modify("7", 157_310) == Accepted("7")
    method, path, body = venue.asked[0]
    assert (method, path) == ("PUT", "/orders/regular/7")
    assert body == "variety=regular&order_id=7&price=1573.10"
    assert isinstance(KiteBroker(run).modify("7", 0), Rejected)
    assert len(venue.asked) == 1


def test_orders_leave_from_the_configured_ipv4_address(venue: Venue, run: Run) -> None:
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.client_address[0])
        hang_up(handler)

    venue.replies = [answer]
    config = configuration.override(run.config, **{"broker.local_ipv4": "127.0.0.2"})
    KiteBroker(dataclasses.replace(run, config=config)).cancel("7")
    assert seen == ["127.0.0.2"]


def test_a_host_with_ipv6_as_well_is_reached_over_ipv4(
    venue: Venue, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name resolves to IPv6 first; the broker knows the account's IPv4 address only."""
    port = venue.server.server_port
    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # no IPv6 on this machine: then there is nothing to leak
            six = stack.enter_context(socket.socket(socket.AF_INET6))
            six.bind(("::1", port))
            six.listen()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: both)
        venue.replies = [ok({"order_id": "7"})]
        assert KiteBroker(run).cancel("7") == Accepted("7")


def test_the_accounts_funds_are_read_not_derived(venue: Venue, run: Run) -> None:
    venue.replies = [ok({"enabled": True, "net": 99725.05, "utilised": {"debits": 145706.1}})]
    assert KiteBroker(run).funds() == FundsReport(99_725_05, 145_706_10)
    venue.replies = [ok({"net": 1})]
    with pytest.raises(RowError, match="utilised"):
        KiteBroker(run).funds()


def entry_and_exit() -> tuple[ApprovedIntent, ApprovedIntent]:
    return INTENT, msgspec.structs.replace(INTENT, purpose=Purpose.EXIT)


def test_when_orders_are_not_answered_entries_stop_and_exits_go_out(venue: Venue, run: Run) -> None:
    changes: list[tuple[str, str, str]] = []
    broker = KiteBroker(run, lambda name, before, after, _: changes.append((name, before, after)))
    entry, leaving = entry_and_exit()
    child = tag(entry.intent_id)
    venue.replies = [error(503, "NetworkException", "Request failed (kitetrade-oms)")]
    for _ in range(TRIPS_AFTER):
        assert isinstance(broker.submit(entry, child, 1), Unknown)
    refused = broker.submit(entry, child, 1)
    assert isinstance(refused, Rejected) and refused.code == "breaker_open"
    assert "kitetrade-oms" in refused.message
    assert len(venue.asked) == TRIPS_AFTER, "certainly not sent"
    venue.replies = [ok({"order_id": "7"})]
    assert broker.submit(leaving, child, 1) == Accepted("7")
    assert broker.submit(entry, child, 1) == Accepted("7"), "an exit that is answered closes the breaker"
    assert changes == [("kite.orders", "closed", "open"), ("kite.orders", "open", "closed")]


def test_while_the_book_cannot_be_read_no_entry_is_sent(venue: Venue, run: Run) -> None:
    broker = KiteBroker(run)
    entry, leaving = entry_and_exit()
    child = tag(entry.intent_id)
    venue.replies = [(502, "text/html", "<html>")]
    for _ in range(2):
        with pytest.raises(BrokerReadError):
            broker.orders()
    asked = len(venue.asked)
    assert asked == TRIPS_AFTER
    with pytest.raises(BrokerReadError, match=r"not asked: kite.reads is open after 5 failures"):
        broker.trades()
    assert [health.state for health in broker.health()] == ["open", "closed"]
    assert isinstance(broker.submit(entry, child, 1), Rejected)
    assert len(venue.asked) == asked
    venue.replies = [ok({"order_id": "7"})]
    assert broker.submit(leaving, child, 1) == Accepted("7")
    assert broker.cancel("7") == Accepted("7")


@pytest.mark.parametrize(
    "reply",
    [
        error(400, "InputException", "Invalid `quantity`."),
        error(403, "TokenException", "expired"),
        error(429, "NetworkException", "Too many requests"),
        error(403, "PermissionException", IP_REFUSED),
    ],
)
def test_refusals_are_answers_and_open_no_breaker(venue: Venue, run: Run, reply: Reply) -> None:
    broker = KiteBroker(run)
    venue.replies = [reply]
    for _ in range(2 * TRIPS_AFTER):
        broker.submit(INTENT, tag(INTENT.intent_id), 1)
    assert len(venue.asked) == 2 * TRIPS_AFTER
    assert {health.state for health in broker.health()} == {"closed"}


def test_reads_are_repeated_while_the_trouble_may_pass(venue: Venue, run: Run) -> None:
    venue.replies = [error(429, "NetworkException", "slow"), (502, "text/html", "x"), ok([])]
    assert KiteBroker(run).orders() == []
    assert len(venue.asked) == 3


def test_a_read_that_stays_impossible_says_what_was_wanted(venue: Venue, run: Run) -> None:
    venue.replies = [error(503, "NetworkException", "down")]
    with pytest.raises(BrokerReadError, match=r"trades of order 7: NetworkException: down"):
        KiteBroker(run).trades("7")
    venue.replies = [error(400, "InputException", "wrong")]
    with pytest.raises(BrokerReadError, match="positions"):
        KiteBroker(run).positions()


def test_the_instruments_file_comes_as_served(venue: Venue, run: Run) -> None:
    venue.replies = [(200, "text/csv", "instrument_token,exchange_token\n")]
    assert KiteBroker(run).instruments() == b"instrument_token,exchange_token\n"
    venue.replies = [error(403, "TokenException", "no")]
    with pytest.raises(BrokerReadError, match="instruments file"):
        KiteBroker(run).instruments()


def redirect(handler: BaseHTTPRequestHandler, query: str) -> None:
    handler.send_response(302)
    handler.send_header("Location", f"http://127.0.0.1/callback?{query}")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def test_a_login_exchanges_the_request_token_and_keeps_the_session_private(
    venue: Venue, tmp_path: Path
) -> None:
    run = run_against(venue.url, tmp_path)
    venue.replies = [
        lambda handler: redirect(handler, "status=success&request_token=rt&action=login"),
        ok({"access_token": "at", "user_id": "AB1234", "login_time": "2026-11-20 08:30:00", "email": "x"}),
    ]
    assert session.login_to_sandbox(run, "secret") == "at"
    assert session.load(run).user_id == "AB1234"
    assert (run.folder / "session.sealed").stat().st_mode & 0o777 == 0o600
    # sha256("kitepilot_paper" + "rt" + "secret"), computed with coreutils
    assert "checksum=" + CHECKSUM in venue.asked[1][2]


CHECKSUM = "8c29c213c3dc1f58c6bc5d306e7c02f019576df1bc987b5c725d136d48203337"


def test_a_login_that_fails_says_why(venue: Venue, tmp_path: Path) -> None:
    run = run_against(venue.url, tmp_path)
    venue.replies = [lambda handler: redirect(handler, "status=error")]
    with pytest.raises(session.SessionError, match="without a request token"):
        session.login_to_sandbox(run, "secret")
    venue.replies = [
        lambda handler: redirect(handler, "status=success&request_token=rt"),
        error(403, "TokenException", "Token is invalid or has expired."),
    ]
    with pytest.raises(session.SessionError, match="Token is invalid"):
        session.login_to_sandbox(run, "secret")
    with pytest.raises(session.SessionError, match="a login is needed"):
        session.load(run)


def test_a_damaged_session_file_asks_for_a_login(run: Run) -> None:
    (run.folder / "session.sealed").write_text("{")
    with pytest.raises(session.SessionError, match=r"damaged.*login is needed"):
        session.load(run)
