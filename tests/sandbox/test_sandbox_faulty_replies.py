"""What the unmodified client meets when a reply goes wrong, and what stands in the book then."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import httpx
import pytest
import requests
from small_market import ALPHA, MS, OPEN, S, SmallMarket, packet

from broker_adapter.sandbox.faulty_replies import shift_stamps


@pytest.fixture
def open_market(sandbox):
    """A sandbox in the session, its clock running at ten times the pace, and a client."""
    quotes = [
        (OPEN + n * 100 * MS, packet(ALPHA, 500_00, [(499_95, 500)], [(500_05, 500)])) for n in range(550)
    ]
    venue = sandbox(SmallMarket(quotes, begins_at=OPEN - S), speed=10)
    kite = venue.login()
    venue.start()
    venue.until(lambda state: state["session_time_ns"] > OPEN + S)
    return venue, kite


def arm(venue, fault: str, **more) -> None:
    reply = venue.admin.post("/admin/faults", json={"fault": fault, **more})
    assert reply.status_code == 200, reply.text


def buy(kite, tag: str = "T00") -> str:
    return kite.place_order("regular", "NSE", "KPALPHA", "BUY", 1, "MIS", "LIMIT", 500.05, "IOC", tag=tag)


def statuses(venue) -> list[str]:
    return [row["status"] for row in venue.admin.get("/admin/book").json()["orders"]]


def raw(venue, kite) -> httpx.Response:
    form = {
        "exchange": "NSE", "tradingsymbol": "KPALPHA", "transaction_type": "BUY", "quantity": 1,
        "product": "MIS", "order_type": "LIMIT", "price": 500.05, "validity": "IOC", "tag": "T00",
    }  # fmt: skip
    headers = {"X-Kite-Version": "3", "Authorization": f"token {kite.api_key}:{kite.access_token}"}
    return httpx.post(f"{venue.config.broker.rest_url}/orders/regular", data=form, headers=headers, timeout=3)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("timeout_after_accept", requests.exceptions.ReadTimeout),
        ("reset_mid_reply", requests.exceptions.RequestException),
        ("no_content_type", KeyError),
    ],
)
def test_the_order_stands_although_the_client_never_learns_its_id(open_market, fault, error):
    venue, kite = open_market
    arm(venue, fault, **({"parameters": {"reached": "yes"}} if fault.startswith("reset") else {}))
    kite.timeout = 1
    with pytest.raises(error):
        buy(kite)
    kite.timeout = 7
    assert len(statuses(venue)) == 1
    assert buy(kite, "T01")  # the fault is over


@pytest.mark.parametrize("reached", ["yes", "no"])
@pytest.mark.parametrize(
    ("fault", "name", "code"),
    [
        ("bad_gateway_502", "DataException", 502),
        ("unavailable_503", "NetworkException", 503),
        ("gateway_timeout_504", "NetworkException", 504),
        ("oms_unreachable", "NetworkException", 503),
        ("html_error", "DataException", 502),
    ],
)
def test_an_error_of_the_gateway_says_nothing_about_the_order(open_market, fault, name, code, reached):
    from kiteconnect import exceptions

    venue, kite = open_market
    arm(venue, fault, parameters={"reached": reached})
    with pytest.raises(getattr(exceptions, name)) as failed:
        buy(kite)
    assert failed.value.code in (code, 500 if fault != "html_error" else 502)
    assert len(statuses(venue)) == (1 if reached == "yes" else 0)


@pytest.mark.parametrize(
    ("fault", "status", "kind", "text"),
    [
        ("too_many_requests", 429, "NetworkException", "Too many requests"),
        ("ip_refused", 403, "PermissionException", "not allowed to place orders"),
        ("no_ips", 403, "PermissionException", "No IPs configured"),
        ("day_cap", 429, "NetworkException", "Maximum allowed order requests exceeded"),
    ],
)
def test_a_refusal_leaves_no_order_and_reads_go_on(open_market, fault, status, kind, text):
    venue, kite = open_market
    arm(venue, fault)
    reply = raw(venue, kite)
    assert (reply.status_code, reply.json()["error_type"]) == (status, kind)
    assert text in reply.json()["message"]
    assert kite.orders() == []


def test_a_placement_that_timed_out_goes_live_eight_seconds_later(open_market):
    venue, kite = open_market
    arm(venue, "timed_out_400")
    reply = raw(venue, kite)
    asked = venue.state()["session_time_ns"]
    assert reply.status_code == 400 and reply.json()["message"].startswith("Order request timed out")
    assert kite.orders() == []
    venue.until(lambda state: state["trades"] == 1)
    assert venue.state()["session_time_ns"] >= asked + 7 * S


def test_a_stuck_order_shows_its_first_status_until_it_moves(open_market):
    venue, kite = open_market
    arm(venue, "stuck_order", parameters={"stuck_s": 10})
    order_id = buy(kite)
    since = venue.state()["session_time_ns"]
    assert statuses(venue) == ["PUT ORDER REQ RECEIVED"]
    venue.until(lambda state: state["trades"] == 1)
    assert venue.state()["session_time_ns"] >= since + 9 * S
    assert kite.order_history(order_id)[-1]["status"] == "COMPLETE"


def test_an_expired_token_ends_rest_and_the_next_handshake_but_not_an_open_socket(open_market):
    from kiteconnect.exceptions import TokenException
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    venue, kite = open_market
    with connect(venue.ticker_url(kite), max_queue=None) as socket:
        socket.recv(timeout=5)
        arm(venue, "token_expired")
        with pytest.raises(TokenException):
            kite.profile()
        assert socket.recv(timeout=5)
        with pytest.raises(InvalidStatus) as refusal:
            connect(venue.ticker_url(kite))
        assert refusal.value.response.status_code == 403
    assert venue.login().profile()


def test_a_skewed_venue_shifts_its_stamps_and_its_date_header_together(open_market):
    venue, kite = open_market
    order_id = buy(kite)
    url = f"{venue.config.broker.rest_url}/orders"
    headers = {"Authorization": f"token {kite.api_key}:{kite.access_token}"}

    def seen():
        reply = httpx.get(url, headers=headers)
        (row,) = reply.json()["data"]
        return row["order_timestamp"], parsedate_to_datetime(reply.headers["date"]).timestamp()

    stamp, date = seen()
    arm(venue, "clock_skew", parameters={"seconds": 3600})
    later, skewed = seen()
    assert later[11:13] == f"{int(stamp[11:13]) + 1:02d}" and later[14:] == stamp[14:]
    assert 3600 <= skewed - date < 3660
    assert venue.admin.delete("/admin/faults").json() == {"cleared": 1}
    assert seen()[0] == stamp
    assert order_id == kite.orders()[0]["order_id"]


def test_stamps_move_across_midnight_and_nothing_else_moves():
    body = b'{"at":"2026-11-20 23:59:59","tag":"2026-11-20","price":2026.11}'
    assert shift_stamps(body, 1) == b'{"at":"2026-11-21 00:00:00","tag":"2026-11-20","price":2026.11}'
    assert shift_stamps(shift_stamps(body, 86_399), -86_399) == body


def test_the_admin_address_lists_what_is_armed_and_refuses_what_cannot_be(open_market):
    venue, kite = open_market
    arm(venue, "html_error", match={"tag": "NOBODY"}, count=None)
    buy(kite)
    (row,) = venue.admin.get("/admin/faults").json()["armed"]
    assert (row["fault"], row["hits"], row["left"]) == ("html_error", 0, None)
    for body in ({"fault": "earthquake"}, {"fault": "html_error", "often": True}, {}):
        reply = venue.admin.post("/admin/faults", json=body)
        assert reply.status_code == 400 and reply.json()["error"]
    script = {"seed": 3, "steps": [{"fault": "day_cap", "after_orders": 2}]}
    assert venue.admin.put("/admin/faults/script", json=script).json() == {"waiting": 1}
    assert buy(kite, "T01")
    with pytest.raises(Exception, match="Maximum allowed"):
        buy(kite, "T02")


def test_an_order_rejected_by_the_risk_system_has_an_id_and_a_reason(open_market):
    venue, kite = open_market
    arm(venue, "rms_rejected")
    order_id = buy(kite)
    venue.until(lambda _: statuses(venue) == ["REJECTED"])
    assert kite.order_history(order_id)[-1]["status_message"].startswith("RMS:")
