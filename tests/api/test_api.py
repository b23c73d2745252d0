"""The API over a real log: what was written there is what it shows."""

import hashlib
import json
import time
from pathlib import Path

import pytest
from litestar.testing import TestClient
from served import AT, SECRET, TOKEN

from api.control import Asked, ControlDesk, token_of
from api.postbacks import MAX_BYTES, REMEMBERED, PostbackDesk
from broker_adapter.letters import Letters
from infra.fence import Fence, Raised, asked
from kitepilot import events as e
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run
from kitepilot.topics import TICKS

HOME = {"authorization": f"Bearer {TOKEN}"}


def account(seq: int, realised_paise: int) -> e.AccountMarked:
    return e.AccountMarked(
        source="decisions",
        seq=seq,
        event_at=AT + seq * 10**9,
        run_id="paper-20261120-0001",
        state=e.TradingState.ACTIVE,
        realised_paise=realised_paise,
        unrealised_paise=-500,
        charges_paise=1602,
        open_positions=2,
        gross_exposure_paise=12_000_000,
        working_orders=1,
        oldest_working_at=AT,
        orders=4,
        fills=3,
    )


def status_when(client: TestClient, key: str, value: object) -> dict:
    deadline = time.monotonic() + 5
    while (shown := client.get("/status", headers=HOME).json())[key] != value:
        assert time.monotonic() < deadline, shown
        time.sleep(0.02)
    return shown


def test_the_newest_account_is_shown_in_paise_with_both_clocks(client: TestClient, log: EventLog) -> None:
    mark = e.Marked(
        source="market-0",
        seq=0,
        event_at=AT,
        received_at=1,
        tokens=[],
        last_paise=[],
        bid_paise=[],
        ask_paise=[],
        quoted_at=[],
    )
    log.append("session", [e.encode(mark)])
    log.append("decisions", [e.encode(account(0, 100)), e.encode(account(1, 12_000))])
    shown = status_when(client, "realised_paise", 12_000)
    assert shown["open_positions"] == 2
    assert shown["session_time"] == {
        "utc": "2026-11-20T05:00:00.000+00:00",
        "ist": "2026-11-20T10:30:00+05:30",
    }


def test_a_repeated_message_is_counted_once(client: TestClient, log: EventLog) -> None:
    letter = e.DeadLetter(
        source="ingest",
        seq=0,
        event_at=AT,
        reason="bad_frame",
        topic="ticks",
        partition=0,
        offset=-1,
        count=3,
        detail="",
        payload=b"\x00\x01",
    )
    log.append("dead-letter", [e.encode(letter), e.encode(letter)])
    log.append("decisions", [e.encode(account(0, 7))])
    status_when(client, "realised_paise", 7)
    assert client.get("/status", headers=HOME).json()["dead_letters"] == {"bad_frame": 3}


def test_rubbish_on_a_topic_does_not_stop_the_view(client: TestClient, log: EventLog) -> None:
    log.append("decisions", [b"\xc1 not msgpack", e.encode(account(0, 42))])
    status_when(client, "realised_paise", 42)
    assert client.get("/health").status_code == 200


def test_a_producer_numbers_each_topic_by_itself(client: TestClient, log: EventLog) -> None:
    """An alarm on `session` is no repetition of the dead letters its producer wrote before."""
    letters = Letters("ingest", "paper-20261120-0001")
    buried = [letters.bury("bad_frame", TICKS, "", b"", AT) for _ in range(3)]
    log.append("dead-letter", buried)
    status_when(client, "dead_letters", {"bad_frame": 3})
    log.append("session", [letters.alarm("feed", "ticker", "login needed", AT)])
    deadline = time.monotonic() + 30
    while not client.get("/status", headers=HOME).json()["alarms"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_metrics_are_prometheus_text_in_rupees(client: TestClient, log: EventLog) -> None:
    log.append("decisions", [e.encode(account(0, 12_345))])
    status_when(client, "realised_paise", 12_345)
    reply = client.get("/metrics", headers=HOME)
    assert reply.headers["content-type"].startswith("text/plain")
    assert "kitepilot_realised_rupees 123.45" in reply.text
    assert 'kitepilot_trading_state{state="active"} 1.0' in reply.text


def test_a_dead_log_reader_is_unhealthy(client: TestClient) -> None:
    client.app.state.services.view.stop()
    reply = client.get("/health")
    assert reply.status_code == 503
    assert "stopped" in reply.json()["reason"]


def test_the_schema_names_every_operation(client: TestClient) -> None:
    paths = client.get("/schema/openapi.json", headers={"authorization": f"Bearer {TOKEN}"}).json()["paths"]
    named = [op["operationId"] for p in paths.values() for op in p.values()]
    assert len(named) == len(set(named))
    assert {"health", "status", "metrics", "postback", "control"} < set(named)


def signed(order_id: str = "7", status: str = "COMPLETE", secret: str = SECRET, **more: object) -> bytes:
    at = "2026-11-20 10:30:00"
    checksum = hashlib.sha256(f"{order_id}{at}{secret}".encode()).hexdigest()
    row = {"order_id": order_id, "order_timestamp": at, "status": status, "checksum": checksum, **more}
    return json.dumps(row).encode()


def kept(log: EventLog) -> list[e.PostbackReceived]:
    reader = log.reader({("postbacks", 0): 0})
    found = [e.decode(record.value) for record in reader.poll(10_000)]
    reader.close()
    return [each for each in found if isinstance(each, e.PostbackReceived)]


def test_a_signed_postback_is_kept_as_it_came_once(client: TestClient, log: EventLog) -> None:
    body = signed(quantity=5)
    replies = [client.post("/broker/postbacks", content=body) for _ in range(2)]
    assert [(r.status_code, r.json()["status"]) for r in replies] == [(200, "taken"), (200, "repeated")]
    (event,) = kept(log)
    assert (event.order_id, event.status, event.body.encode(), event.event_at) == ("7", "COMPLETE", body, AT)
    assert client.get("/status", headers=HOME).json()["postbacks"] == {"taken": 1, "repeated": 1}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (signed(secret="guessed"), 403),
        (signed().replace(b'"7"', b'"8"'), 403),
        (signed(checksum="\u20b9"), 403),
        (b"{", 400),
        (b"[]", 400),
        (b'{"order_id": 7}', 400),
        (signed(note="x" * MAX_BYTES), 413),
    ],
)
def test_what_the_broker_did_not_sign_is_refused_and_counted(
    client: TestClient, log: EventLog, body: bytes, code: int
) -> None:
    assert client.post("/broker/postbacks", content=body).status_code == code
    assert kept(log) == []


def test_without_a_secret_nothing_is_believed(log: EventLog) -> None:
    assert PostbackDesk("", log, lambda: AT).take(signed(secret="")) == (503, "no_secret")


def test_what_is_remembered_of_postbacks_is_bounded(log: EventLog) -> None:
    desk = PostbackDesk(SECRET, log, lambda: AT)
    assert desk.take(signed()) == (200, "taken")
    for number in range(REMEMBERED):
        desk.take(signed(order_id=f"o{number}"))
    assert desk.take(signed()) == (200, "taken"), "forgotten by now; hearing it again changes nothing"
    assert [each.seq for each in kept(log)] == list(range(REMEMBERED + 2))


def test_the_account_beside_our_orders_is_shown(client: TestClient, log: EventLog) -> None:
    head = {"source": "gateway.findings", "event_at": AT, "run_id": "r"}
    order = e.ForeignOrderUpdated(
        **head, seq=0, order_id="hand", token=1, tradingsymbol="INFY", side=e.Side.SELL, product="MIS",
        quantity=5, filled_quantity=0, status=e.OrderStatus.WORKING, venue_status="OPEN", placed_by="AB1234",
        by_broker=False,
    )  # fmt: skip
    alarm = e.Alarmed(**head, seq=1, kind="foreign_order", subject="hand", detail="SELL 5 INFY", halts=False)
    found = e.Difference(rule="position_differs", subject="INFY", ours="5", theirs="0")
    result = e.Reconciled(
        **head,
        seq=2,
        occasion="minute",
        orders=1,
        trades=0,
        positions=1,
        differences=(found,),
        verdict="halt",
    )
    log.append("session", [e.encode(each) for each in (order, alarm, result)])
    log.append("decisions", [e.encode(account(0, 5))])
    deadline = time.monotonic() + 5
    while not (shown := client.get("/status", headers=HOME).json())["reconciliation"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert shown["foreign_orders"][0]["order_id"] == "hand" and shown["alarms"][0]["subject"] == "hand"
    assert shown["reconciliation"]["differences"][0]["rule"] == "position_differs"
    text = client.get("/metrics", headers=HOME).text
    assert 'kitepilot_reconciliations_total{verdict="halt"} 1.0' in text
    assert "kitepilot_foreign_orders_live 1.0" in text


def control(client: TestClient, name: str, body: object, token: str = TOKEN) -> tuple[int, str]:
    reply = client.post(f"/control/{name}", json=body, headers={"authorization": f"Bearer {token}"})
    return reply.status_code, reply.json().get("status", "")


def commands(log: EventLog) -> list[tuple[str, str]]:
    reader = log.reader({("session", 0): 0})
    found = [e.decode(record.value) for record in reader.poll(100)]
    reader.close()
    return [(each.command, each.command_id) for each in found if isinstance(each, e.Commanded)]


@pytest.mark.parametrize("name", ["flatten", "halt", "reduce"])
def test_a_command_of_the_owner_is_said_once_however_often_it_is_asked(
    client: TestClient, log: EventLog, name: str
) -> None:
    assert control(client, name, {"command_id": "one", "reason": "enough"}) == (200, "said")
    assert control(client, name, {"command_id": "one"}) == (200, "repeated")
    other = "halt" if name != "halt" else "flatten"
    assert control(client, other, {"command_id": "one"}) == (409, "refused")
    assert commands(log) == [(name, "one")]


@pytest.mark.parametrize("token", ["", "t0ke", "t0kenn", "T0KEN"])
def test_a_command_without_the_token_changes_nothing(client: TestClient, log: EventLog, token: str) -> None:
    assert control(client, "halt", {"command_id": "one"}, token) == (401, "refused")
    assert client.post("/control/halt", json={"command_id": "one"}).status_code == 401
    assert commands(log) == []


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("sell", {"command_id": "a"}, 404),
        ("halt", {}, 400),
        ("halt", {"command_id": ""}, 400),
        ("halt", {"command_id": "x" * 65}, 400),
        ("halt", {"command_id": "a", "later": True}, 400),
        ("halt", ["a"], 400),
        ("halt", {"command_id": "a", "reason": "x" * 5_000}, 413),
    ],
)
def test_what_is_no_command_is_refused_whole(
    client: TestClient, log: EventLog, name: str, body: object, code: int
) -> None:
    assert control(client, name, body)[0] == code
    assert commands(log) == []


def test_a_flatten_past_the_decisions_waits_for_the_watchdog(client: TestClient, run: Run) -> None:
    assert control(client, "flatten", {"command_id": "a", "reason": "now", "now": True}) == (200, "watchdog")
    wish = asked(run.folder)
    assert wish is not None and (wish.command_id, wish.by, wish.reason) == ("a", "api", "now")


def test_a_flatten_that_the_log_does_not_take_is_the_watchdogs_and_a_halt_is_refused(run: Run) -> None:
    class Dead:
        def append(self, *_: object, **__: object) -> int:
            raise LogError("the disk is gone")

    desk = ControlDesk(run, Dead(), TOKEN)  # type: ignore[arg-type]
    assert desk.take("halt", b'{"command_id":"a"}')[0] == 503
    assert desk.take("flatten", b'{"command_id":"a"}') == (200, {"status": "watchdog"})
    assert asked(run.folder) is not None


def test_nobody_resumes_over_http_while_the_watchdogs_fence_stands(log: EventLog, run: Run) -> None:
    Fence(run.folder).up(Raised(at=AT, reason="silence", by="watchdog"))
    desk = ControlDesk(run, log, TOKEN)
    assert desk.obey("resume", Asked("a"), "owner@example.test")[0] == 409
    assert commands(log) == []


def test_the_homes_token_stops_trading_and_starts_none(client: TestClient, log: EventLog) -> None:
    """It has no second factor, and lies wherever something reads the metrics."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert control(client, "resume", {"command_id": "a"}) == (403, "refused")
    assert client.post("/api/v1/resume", json={}, headers=headers).status_code == 403
    assert commands(log) == []
    assert control(client, "halt", {"command_id": "a"}) == (200, "said")


def test_the_homes_token_is_drawn_once_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    first = token_of(tmp_path)
    assert len(first) >= 32 and token_of(tmp_path) == first
    assert (tmp_path / "api.token").stat().st_mode & 0o777 == 0o600
