"""Accepted, rejected, unknown: what each kind of reply proves, by the stock client over real sockets."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from test_kite_rows import INTENT

from broker_adapter.kite import session
from broker_adapter.kite.client import BrokerReadError, KiteBroker
from kitepilot import config as configuration
from kitepilot.orders.intents import tag
from kitepilot.ports import Accepted, AuthLost, Rejected, Throttled, Unknown
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
                if kind:
                    self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_DELETE = answer

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
        (error(403, "PermissionException", "IP not allowed"), Rejected),
        (error(429, "NetworkException", "Too many requests"), Throttled),
        (error(500, "OrderException", "oops"), Unknown),
        (error(500, "GeneralException", "oops"), Unknown),
        (error(503, "NetworkException", "Request failed (kitetrade-oms)"), Unknown),
        (error(504, "DataException", "gateway"), Unknown),
        ((502, "text/html", "<html>bad gateway</html>"), Unknown),
        ((200, "", "no content type"), Unknown),
        ((200, JSON, "{not json"), Unknown),
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
