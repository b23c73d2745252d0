"""A person signs in with password and code, goes on, and is signed out; each secret opens what it should."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jwt
import msgspec
import psutil
import pytest
import sqlalchemy as sa
from litestar import Litestar, post
from litestar.testing import TestClient
from people import ORIGIN, PASSWORD, Clock, Person, enrol, sign_in
from served import CHEAP, TEST_HOST, TOKEN

from api.app import create_app
from api.identity.desk import Identity, identity_of
from api.identity.guards import fresh, operates, owns
from api.identity.presence import HEADER
from api.identity.sessions import IDLE_NS, KEPT, LONGEST_NS
from api.identity.sign_in import BY_ACCOUNT, BY_ADDRESS, BY_CODE, Given, Peer
from api.problems import Problem
from infra.audit.acts import acts_log
from infra.postgres import accounts, sign_ins
from infra.postgres.embedded import Server
from kitepilot.audit.acts import Acted, decode_act
from kitepilot.config import StorageSection
from kitepilot.ports import EventLog
from kitepilot.run import Run

pytestmark = pytest.mark.stack
SECOND = 1_000_000_000
Enrol = Callable[[str], Person]
Client = TestClient[Litestar]


@post("/go", guards=[owns, fresh])
async def go() -> str:
    return "going"


@post("/halt", guards=[operates], opt={"always": True})
async def halt() -> str:
    return "halted"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("people-home")) as made:
        yield made


@pytest.fixture(scope="module")
def people_url(server: Server) -> str:
    return server.url


@pytest.fixture(scope="module")
def engine(people_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(people_url)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(run: Run, people_url: str) -> Run:
    config = msgspec.structs.replace(run.config, storage=StorageSection(database_url=people_url))
    return Run(run.run_id, run.folder, config)


@pytest.fixture
def identity(run: Run, clock: Clock) -> Iterator[Identity]:
    made = identity_of(run, TOKEN, now=clock, cost=CHEAP, names=(TEST_HOST,))
    yield made
    made.close()


@pytest.fixture
def app(app: Litestar, identity: Identity) -> Litestar:
    app.state.services.identity.close()
    app.state.services.identity = identity
    made = create_app(app.state.services)
    made.register(go)
    made.register(halt)
    return made


@pytest.fixture
def browser(app: Litestar) -> Iterator[Callable[[], Client]]:
    """Another browser each time; they close in turn, the last one first."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(TestClient(app))


@pytest.fixture
def enrolled(identity: Identity, engine: sa.Engine, clock: Clock) -> Enrol:
    return lambda role: enrol(identity, engine, role, clock)


def acts(home: Path) -> list[Acted]:
    log = acts_log(home)
    reader = log.reader({("acts", 0): 0})
    found = [decode_act(record.value) for record in reader.poll(1_000)]
    reader.close()
    log.close()
    return found


def cookie_of(client: Client) -> str:
    return str(client.cookies["kitepilot"])


def test_the_owner_signs_in_and_is_who_he_is(browser: Callable[[], Client], enrolled: Enrol) -> None:
    owner = enrolled("owner")
    client = sign_in(browser(), owner)
    shown = client.get("/api/v1/session").json()
    assert (shown["name"], shown["role"], shown["way"]) == (owner.email, "owner", "session")
    assert shown["rights"] == ["operate", "own", "read"]
    assert shown["csrf_token"] == client.headers["x-csrf-token"]
    assert client.post("/go").status_code == 201, "the code at the door is a fresh one"


def test_the_cookie_is_for_no_script_and_no_other_site(
    browser: Callable[[], Client], enrolled: Enrol
) -> None:
    owner = enrolled("owner")
    reply = browser().post("/api/v1/session", json=owner.form())
    said = reply.headers["set-cookie"].lower()
    assert "httponly" in said and "samesite=lax" in said and "path=/" in said and "domain" not in said


@pytest.mark.parametrize("wrong", ["password", "totp", "email", "disabled", "no code"])
def test_whatever_is_wrong_the_answer_is_the_same(
    browser: Callable[[], Client], enrolled: Enrol, engine: sa.Engine, wrong: str
) -> None:
    owner = enrolled("owner")
    form = owner.form()
    if wrong == "disabled":
        with engine.begin() as db:
            accounts.disable(db, owner.user_id, True)
    elif wrong == "no code":
        form["totp"] = ""
    else:
        form[wrong] = {"password": PASSWORD + "!", "totp": "000000", "email": "nobody@example.test"}[wrong]
    reply = browser().post("/api/v1/session", json=form)
    assert reply.status_code == 401 and "set-cookie" not in reply.headers
    assert reply.json() == {
        "type": "urn:kitepilot:problem:sign_in_refused",
        "title": "E-mail address, password or code is not right",
        "status": 401,
        "detail": "The e-mail address, the password or the code is not right.",
        "code": "sign_in_refused",
        "errors": [],
    }


def test_a_code_counts_once_even_within_its_half_minute(
    browser: Callable[[], Client], enrolled: Enrol, clock: Clock
) -> None:
    owner = enrolled("owner")
    form = owner.form()
    assert browser().post("/api/v1/session", json=form).status_code == 201
    assert browser().post("/api/v1/session", json=form).status_code == 401
    clock.pass_s(30)
    assert browser().post("/api/v1/session", json=form).status_code == 401, "still within the tolerated step"
    assert browser().post("/api/v1/session", json=owner.form()).status_code == 201


def test_a_recovery_code_counts_once_and_is_no_fresh_code(
    browser: Callable[[], Client], enrolled: Enrol
) -> None:
    owner = enrolled("owner")
    form = {"email": owner.email, "password": PASSWORD, "recovery_code": owner.codes[3].lower()}
    first = browser()
    reply = first.post("/api/v1/session", json=form)
    assert reply.status_code == 201 and reply.json()["fresh_until"] is None
    headers = {"x-csrf-token": reply.json()["csrf_token"]}
    assert first.post("/go", headers=headers).json()["code"] == "step_up_required"
    assert browser().post("/api/v1/session", json=form).status_code == 401


def test_a_step_up_lasts_five_minutes_and_halting_never_needs_one(
    browser: Callable[[], Client], enrolled: Enrol, clock: Clock
) -> None:
    owner = enrolled("owner")
    client = sign_in(browser(), owner)
    clock.pass_s(301)
    assert client.post("/go").json()["code"] == "step_up_required"
    assert client.post("/halt").status_code == 201
    before = cookie_of(client)
    reply = client.post("/api/v1/session/step-up", json={"totp": owner.fresh_code()})
    assert reply.status_code == 200 and reply.json()["fresh_until"]
    assert client.post("/go").status_code == 201
    assert cookie_of(client) != before
    old = browser()
    old.cookies.set("kitepilot", before)
    assert old.get("/api/v1/session").status_code == 401, "the secret before the step-up opens nothing"


def test_the_code_of_the_sign_in_is_no_step_up(browser: Callable[[], Client], enrolled: Enrol) -> None:
    owner = enrolled("owner")
    form = owner.form()
    client = browser()
    csrf = client.post("/api/v1/session", json=form).json()["csrf_token"]
    again = client.post(
        "/api/v1/session/step-up", json={"totp": form["totp"]}, headers={"x-csrf-token": csrf}
    )
    assert (again.status_code, again.json()["code"]) == (403, "code_refused")


def test_a_session_that_ends_while_its_code_is_looked_at_is_signed_out(
    browser: Callable[[], Client],
    enrolled: Enrol,
    identity: Identity,
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner = enrolled("owner")
    client, step_up = sign_in(browser(), owner), identity.sessions.step_up

    async def ended_then(secret: str) -> str | None:
        new = await step_up(secret)
        with engine.begin() as db:
            accounts.disable(db, owner.user_id, True)
        return new

    monkeypatch.setattr(identity.sessions, "step_up", ended_then)
    reply = client.post("/api/v1/session/step-up", json={"totp": owner.fresh_code()})
    assert (reply.status_code, reply.json()["code"]) == (401, "sign_in_required")
    assert "set-cookie" not in reply.headers


def test_a_session_ends_unused_after_half_an_hour_and_used_after_twelve(
    browser: Callable[[], Client], enrolled: Enrol, clock: Clock
) -> None:
    owner = enrolled("owner")
    idle = sign_in(browser(), owner)
    clock.pass_s(IDLE_NS / SECOND)
    assert idle.get("/api/v1/session").status_code == 401
    used = sign_in(browser(), owner)
    for _ in range(LONGEST_NS // IDLE_NS * 2 - 1):
        clock.pass_s(IDLE_NS / SECOND / 2)
        assert used.get("/api/v1/session").status_code == 200
    clock.pass_s(IDLE_NS / SECOND / 2)
    assert used.get("/api/v1/session").status_code == 401


def test_a_page_that_asks_by_itself_keeps_no_forgotten_session(
    browser: Callable[[], Client], enrolled: Enrol, clock: Clock
) -> None:
    client = sign_in(browser(), enrolled("owner"))
    by_itself = {HEADER: "1"}
    for _ in range(5):
        clock.pass_s(IDLE_NS / SECOND / 6)
        assert client.get("/api/v1/session", headers=by_itself).status_code == 200
    left = client.get("/api/v1/session", headers=by_itself).json()["ends_in_s"]
    assert left == pytest.approx(IDLE_NS / SECOND / 6)
    assert client.get("/api/v1/session").status_code == 200  # somebody came back
    assert client.get("/api/v1/session", headers=by_itself).json()["ends_in_s"] == IDLE_NS / SECOND
    for _ in range(5):
        clock.pass_s(IDLE_NS / SECOND / 6)
        assert client.get("/api/v1/live/snapshot").status_code == 200  # what the streams say: nobody's use
    clock.pass_s(IDLE_NS / SECOND / 6)
    assert client.get("/api/v1/session", headers=by_itself).status_code == 401


def test_who_signs_out_or_is_ended_elsewhere_is_out_at_once(
    browser: Callable[[], Client], enrolled: Enrol
) -> None:
    owner = enrolled("owner")
    here, there = sign_in(browser(), owner), sign_in(browser(), owner)
    listed = here.get("/api/v1/sessions").json()
    assert [each["own"] for each in listed] == [False, True]
    other = next(each["id"] for each in listed if not each["own"])
    assert here.delete(f"/api/v1/sessions/{other}").status_code == 204
    assert there.get("/api/v1/session").status_code == 401
    held = cookie_of(here)
    assert here.delete("/api/v1/session").status_code == 204
    here.cookies.set("kitepilot", held)
    assert here.get("/api/v1/session").status_code == 401


def test_nobody_but_the_owner_ends_anothers_session_or_sees_it(
    browser: Callable[[], Client], enrolled: Enrol
) -> None:
    owner, reader = sign_in(browser(), enrolled("owner")), sign_in(browser(), enrolled("reader"))
    owners = owner.get("/api/v1/session").json()["session"]
    readers = reader.get("/api/v1/session").json()["session"]
    assert reader.delete(f"/api/v1/sessions/{owners}").status_code == 404
    assert {each["id"] for each in reader.get("/api/v1/sessions?everyone=true").json()} == {readers}
    assert readers in {each["id"] for each in owner.get("/api/v1/sessions?everyone=true").json()}
    assert owner.delete(f"/api/v1/sessions/{readers}").status_code == 204


def test_of_a_persons_sessions_the_newest_stay(
    browser: Callable[[], Client], enrolled: Enrol, engine: sa.Engine
) -> None:
    owner = enrolled("owner")
    first = sign_in(browser(), owner)
    for _ in range(KEPT):
        sign_in(browser(), owner)
    owner.clock.pass_s(6)  # what is remembered is looked at again
    assert first.get("/api/v1/session").status_code == 401
    with engine.begin() as db:
        assert len(sign_ins.sessions(db, owner.user_id, 0, 0)) == KEPT


def test_guessing_is_slowed_down_for_the_account_there_is_and_the_one_there_is_not(
    browser: Callable[[], Client], enrolled: Enrol, clock: Clock
) -> None:
    owner = enrolled("owner")
    for email in (owner.email, "nobody@example.test"):
        form = {"email": email, "password": "guessed", "totp": "123456"}
        answers = [browser().post("/api/v1/session", json=form) for _ in range(6)]
        assert [each.status_code for each in answers] == [401] * 5 + [429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 30
    right = owner.form()
    assert browser().post("/api/v1/session", json=right).status_code == 429, "not even with the right one"
    clock.pass_s(31)
    assert browser().post("/api/v1/session", json=owner.form()).status_code == 201


def guess(identity: Identity, email: str, address: str, **right: str) -> str:
    """One try to sign in, and how it was refused; "" where it was not."""
    assert identity.sign_in is not None
    given = Given(email, **{"password": "guessed by somebody", "totp": "123456", **right})
    try:
        asyncio.run(identity.sign_in.sign_in(given, Peer(address, "")))
    except Problem as err:
        return err.code
    return ""


def test_one_address_may_not_guess_at_everybody(identity: Identity) -> None:
    said = [guess(identity, f"nobody-{n}@example.test", "192.0.2.1") for n in range(BY_ADDRESS.free + 1)]
    assert said == ["sign_in_refused"] * BY_ADDRESS.free + ["too_many_requests"]
    assert guess(identity, "nobody-0@example.test", "192.0.2.2") == "sign_in_refused", "from elsewhere"


def test_strangers_who_guess_without_end_do_not_shut_the_owner_out_where_he_was_before(
    identity: Identity, enrolled: Enrol, clock: Clock
) -> None:
    """They take each moment at which his account is not locked; his own address has a count of its own."""
    owner, home = enrolled("owner"), "198.51.100.7"
    assert guess(identity, owner.email, home, password=PASSWORD, totp=owner.fresh_code()) == ""
    right = {"password": PASSWORD, "totp": owner.fresh_code()}
    said = [guess(identity, owner.email, f"192.0.2.{n}") for n in range(BY_ACCOUNT.free + 1)]
    assert said == ["sign_in_refused"] * BY_ACCOUNT.free + ["too_many_requests"]
    assert guess(identity, owner.email, "203.0.113.9", **right) == "too_many_requests", "where he never was"
    assert guess(identity, owner.email, home, **right) == ""
    clock.pass_s(BY_ACCOUNT.longest_lock_s)
    right["totp"] = owner.fresh_code()
    assert guess(identity, owner.email, "203.0.113.9", **right) == "", "no lock is longer"


def test_guessing_at_a_step_up_is_slowed_down(
    browser: Callable[[], Client], enrolled: Enrol, clock: Clock
) -> None:
    owner = enrolled("owner")
    client = sign_in(browser(), owner)

    def answered(code: str) -> int:
        return client.post("/api/v1/session/step-up", json={"totp": code}).status_code

    right = owner.fresh_code()
    assert [answered("000000") for _ in range(BY_CODE.free + 1)] == [403] * BY_CODE.free + [429]
    assert answered(right) == 429, "not even with the right one"
    clock.pass_s(BY_CODE.first_lock_s + 1)
    assert answered(owner.fresh_code()) == 200


def test_nobodys_password_costs_as_much_work_as_somebodys(
    identity: Identity, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert identity.sign_in is not None
    passwords, compared = identity.sign_in._passwords, list[str]()

    def counted(kept: str, password: str) -> bool:
        compared.append(kept)
        return compares(kept, password)

    compares = passwords._fits
    monkeypatch.setattr(passwords, "_fits", counted)
    for email in (enrolled("owner").email, "nobody@example.test"):
        assert guess(identity, email, "192.0.2.1") == "sign_in_refused"
    costs = [each.rpartition("p=")[0] for each in compared]
    assert len(compared) == 2 and costs[0] == costs[1]


@pytest.mark.parametrize("made", ["{0}' --", "x' OR email='{0}", "{0}'; DROP TABLE user_sessions; --"])
def test_an_address_is_looked_up_and_never_run(identity: Identity, enrolled: Enrol, made: str) -> None:
    """In the very book that holds the account: what is right beside it makes the statement the last guard."""
    owner = enrolled("owner")
    right = {"password": PASSWORD, "totp": owner.fresh_code()}
    assert guess(identity, made.format(owner.email), "192.0.2.1", **right) == "sign_in_refused"
    assert guess(identity, owner.email, "192.0.2.1", **right) == "", "the code was not taken by the first"


def test_what_counted_at_one_process_counts_at_no_other(
    run: Run, identity: Identity, enrolled: Enrol, clock: Clock
) -> None:
    """Two processes over one book of record, or one that was started anew."""
    owner = enrolled("owner")
    other = identity_of(run, TOKEN, now=clock, cost=CHEAP, names=(TEST_HOST,))
    right = {"password": PASSWORD, "totp": owner.fresh_code()}
    assert guess(identity, owner.email, "192.0.2.1", **right) == ""
    assert guess(other, owner.email, "192.0.2.1", **right) == "sign_in_refused"
    recovery = {"password": PASSWORD, "totp": "", "recovery_code": owner.codes[0]}
    assert guess(other, owner.email, "192.0.2.1", **recovery) == ""
    assert guess(identity, owner.email, "192.0.2.1", **recovery) == "sign_in_refused"
    other.close()


def test_a_program_gets_a_part_of_the_rights_and_loses_them_at_once(
    browser: Callable[[], Client], enrolled: Enrol, clock: Clock
) -> None:
    owner = sign_in(browser(), enrolled("owner"))
    made = owner.post("/api/v1/tokens", json={"name": "report", "scopes": ["read"], "days": 2}).json()
    program = browser()
    program.headers["authorization"] = f"Bearer {made['token']}"
    assert program.get("/api/v1/session").json()["rights"] == ["read"]
    assert program.post("/halt").json()["code"] == "not_permitted"
    assert program.post("/api/v1/tokens", json={"name": "x", "scopes": ["read"]}).status_code == 403
    assert owner.delete(f"/api/v1/tokens/{made['about']['id']}").status_code == 204
    assert program.get("/api/v1/session").status_code == 401
    assert [each["revoked"] for each in owner.get("/api/v1/tokens").json()] == [True]
    again = owner.post("/api/v1/tokens", json={"name": "day", "scopes": ["read", "own"], "days": 1}).json()
    program.headers["authorization"] = f"Bearer {again['token']}"
    assert program.post("/go").json()["code"] == "step_up_required", "a program has no fresh code"
    clock.pass_s(86_400)
    assert program.get("/api/v1/session").status_code == 401


def test_a_request_while_a_token_is_being_revoked_or_a_session_ended_keeps_neither_alive(
    browser: Callable[[], Client], enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = enrolled("owner")
    owner, program, copied = sign_in(browser(), person), browser(), browser()
    made = owner.post("/api/v1/tokens", json={"name": "x", "scopes": ["read"]}).json()
    program.headers["authorization"] = f"Bearer {made['token']}"
    copied.cookies["kitepilot"] = cookie_of(owner)
    for name, asker in (("revoke_token", program), ("end", copied)):
        monkeypatch.setattr(sign_ins, name, asked_before(getattr(sign_ins, name), asker))
    assert owner.delete(f"/api/v1/tokens/{made['about']['id']}").status_code == 204
    assert program.get("/api/v1/session").status_code == 401
    assert owner.delete("/api/v1/session").status_code == 204
    assert copied.get("/api/v1/session").status_code == 401


def asked_before(act: Callable[..., Any], asker: Client) -> Callable[..., Any]:
    """`act`, after a request of somebody who may still ask."""

    def then(*given: Any, **named: Any) -> Any:
        assert asker.get("/api/v1/session").status_code == 200
        return act(*given, **named)

    return then


def test_nobody_gives_a_program_what_he_has_not(browser: Callable[[], Client], enrolled: Enrol) -> None:
    reader = sign_in(browser(), enrolled("reader"))
    reply = reader.post("/api/v1/tokens", json={"name": "x", "scopes": ["operate"]})
    assert (reply.status_code, reply.json()["code"]) == (403, "not_permitted")


def test_without_postgresql_nobody_signs_in_and_everybody_who_may_still_halts(
    run: Run, browser: Callable[[], Client], enrolled: Enrol, identity: Identity, clock: Clock
) -> None:
    owner = enrolled("owner")
    client = sign_in(browser(), owner)
    identity.accounts.close()
    identity.accounts._url = lambda: "postgresql+psycopg://nobody@127.0.0.1:1/none"
    clock.pass_s(6)
    reply = browser().post("/api/v1/session", json=owner.form())
    assert (reply.status_code, reply.json()["code"]) == (503, "record_unreachable")
    assert client.post("/halt").status_code == 201, "who was signed in stops trading"
    assert client.post("/go").status_code == 403, "and makes nothing larger"
    service = browser()
    service.headers["authorization"] = f"Bearer {TOKEN}"
    assert service.post("/halt").status_code == 201
    clock.pass_s(16 * 60)
    assert client.post("/halt").status_code == 401, (
        "what nobody could confirm for a quarter of an hour is over"
    )


def test_a_frozen_postgresql_keeps_nobody_who_is_signed_in_from_halting(
    run: Run, browser: Callable[[], Client], enrolled: Enrol, clock: Clock, server: Server
) -> None:
    """It takes connections, answers none, and keeps no time-out: nobody but us can give up."""
    client = sign_in(browser(), enrolled("owner"))
    postmaster = psutil.Process(server.pid)
    frozen = [postmaster, *postmaster.children(recursive=True)]
    clock.pass_s(6)
    try:
        for process in frozen:
            process.suspend()
        for _ in range(5):
            assert client.post("/halt").status_code == 201
        assert client.post("/go").status_code == 403
    finally:
        for process in frozen:
            process.resume()
    clock.pass_s(6)
    assert client.post("/go").status_code == 201


def test_of_two_who_give_the_same_code_at_once_one_gets_in(
    app: Litestar, identity: Identity, enrolled: Enrol
) -> None:
    person = enrolled("owner")
    for secret in ({"totp": person.fresh_code()}, {"totp": "", "recovery_code": person.codes[0]}):
        given = Given(person.email, person.password, **secret)
        outcomes = asyncio.run(at_once(identity, given, 4))
        assert sum(isinstance(each, tuple) for each in outcomes) == 1, outcomes
        assert {each.code for each in outcomes if isinstance(each, Problem)} == {"sign_in_refused"}


async def at_once(identity: Identity, given: Given, times: int) -> list[Any]:
    assert identity.sign_in is not None
    tries = [identity.sign_in.sign_in(given, Peer(f"192.0.2.{at}", "")) for at in range(times)]
    return await asyncio.gather(*tries, return_exceptions=True)


def test_what_is_done_is_in_the_audit_with_who_and_from_where(
    run: Run, browser: Callable[[], Client], enrolled: Enrol
) -> None:
    owner = enrolled("owner")
    browser().post("/api/v1/session", json=owner.form(password="guessed by somebody"))
    client = sign_in(browser(), owner)
    client.post("/go")
    client.delete("/api/v1/session")
    found = acts(run.home)
    assert [each.act for each in found] == [
        *("sign_in_refused", "signed_in", "requested", "signed_out", "requested")
    ]
    assert [each.by for each in found[:2]] == ["a stranger from testclient", f"{owner.email} from testclient"]
    went = found[2].facts
    assert (went["method"], went["path"], went["status"]) == ("POST", "/go", 201)
    everything = repr(found)
    for secret in (PASSWORD, "guessed by somebody", owner.secret, *owner.used):
        assert secret not in everything


def test_nothing_secret_lies_in_the_book_of_record_in_the_clear(
    browser: Callable[[], Client], enrolled: Enrol, engine: sa.Engine
) -> None:
    owner = enrolled("owner")
    client = sign_in(browser(), owner)
    made = client.post("/api/v1/tokens", json={"name": "report", "scopes": ["read"]}).json()
    kept: list[Any] = []
    with engine.begin() as db:
        for table in ("users", "recovery_codes", "user_sessions", "api_tokens"):
            kept += [tuple(row) for row in db.execute(sa.text(f"SELECT * FROM {table}"))]
    everything = repr(kept)
    assert owner.email in everything
    for secret in (PASSWORD, owner.secret, cookie_of(client), made["token"], *owner.codes):
        assert secret not in everything


def test_a_page_of_another_origin_does_nothing_with_the_owners_cookie(
    browser: Callable[[], Client], enrolled: Enrol, log: EventLog
) -> None:
    client = sign_in(browser(), enrolled("owner"))
    assert client.post("/halt", headers={"origin": "https://evil.test"}).json()["code"] == "csrf"
    assert client.post("/halt", headers={"sec-fetch-site": "cross-site"}).json()["code"] == "csrf"
    del client.headers["x-csrf-token"]
    assert client.post("/halt").json()["code"] == "csrf"
    assert client.post("/halt", headers={"x-csrf-token": "0" * 64}).json()["code"] == "csrf"
    other = sign_in(browser(), enrolled("owner")).headers["x-csrf-token"]
    assert client.post("/halt", headers={"x-csrf-token": other}).json()["code"] == "csrf", (
        "of another session"
    )
    assert client.get("/api/v1/session", headers={"origin": ORIGIN}).status_code == 200


def test_a_session_that_a_stranger_chose_is_not_taken_over(
    browser: Callable[[], Client], enrolled: Enrol
) -> None:
    """Fixation: the id that was in the browser before opens nothing after the sign-in either."""
    chosen = "chosen-by-the-attacker-000000000000000000000"
    client = browser()
    client.cookies.set("kitepilot", chosen)
    reply = client.post("/api/v1/session", json=enrolled("owner").form())
    assert reply.status_code == 201 and chosen not in reply.headers["set-cookie"]
    attacker = browser()
    attacker.cookies.set("kitepilot", chosen)
    assert attacker.get("/api/v1/session").status_code == 401


def test_a_token_that_is_not_ours_opens_nothing(
    browser: Callable[[], Client], enrolled: Enrol, clock: Clock
) -> None:
    """The same claims, otherwise signed or for somebody else: refused; as they were made: taken."""
    owner = sign_in(browser(), enrolled("owner"))
    text = owner.post("/api/v1/tokens", json={"name": "x", "scopes": ["read"]}).json()["token"]
    claims = jwt.decode(text, options={"verify_signature": False})
    program = browser()

    def answered(token: str) -> int:
        program.headers["authorization"] = f"Bearer {token}"
        return program.get("/api/v1/session").status_code

    head, body, signature = text.split(".")
    other = jwt.encode({**claims, "scope": "own"}, "k" * 64, algorithm="HS256")
    forged = (
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, "k" * 64, algorithm="HS256"),
        jwt.encode(claims, "k" * 64, algorithm="HS512"),
        f"{head}.{other.split('.')[1]}.{signature}",
        f"{head}.{body}.",
    )
    assert [answered(each) for each in forged] == [401] * len(forged)
    assert answered(text) == 200


@pytest.mark.parametrize(
    "change",
    [{"aud": "another"}, {"iss": "another"}, {"exp": 1}, {"nbf": 1 << 40}, {"jti": "0" * 16}, {"sub": "x"}],
)
def test_a_token_for_another_place_time_or_person_opens_nothing(
    browser: Callable[[], Client], enrolled: Enrol, identity: Identity, change: dict[str, Any]
) -> None:
    owner = sign_in(browser(), enrolled("owner"))
    text = owner.post("/api/v1/tokens", json={"name": "x", "scopes": ["read"]}).json()["token"]
    claims = jwt.decode(text, options={"verify_signature": False})
    resigned = jwt.encode({**claims, **change}, identity.tokens._key, algorithm="HS256")
    program = browser()
    program.headers["authorization"] = f"Bearer {resigned}"
    assert program.get("/api/v1/session").status_code == 401
