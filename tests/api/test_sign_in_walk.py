"""A random walk of people who sign in, go, forget and are shut out, and of thieves who keep every cookie.

After each step every secret that was ever in a cookie is tried: it opens what the policy says, and no more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from litestar import Litestar
from litestar.testing import TestClient
from people import ORIGIN, Clock, Person, enrol
from served import CHEAP, TEST_HOST, TOKEN

from api.identity.desk import identity_of
from api.identity.flow import Flow, Rate
from api.identity.one_time_codes import new_recovery_codes, new_secret, recovery_hash
from api.identity.passwords import Passwords
from api.identity.principal import RIGHTS, STEP_UP_NS, Role
from api.identity.sessions import IDLE_NS, KEPT, LONGEST_NS
from infra.postgres import accounts
from infra.postgres.embedded import Server
from infra.postgres.tables import users
from kitepilot.config import StorageSection
from kitepilot.run import Run

pytestmark = pytest.mark.stack
WALKS = int(os.environ.get("SIGN_IN_WALKS", "4"))  # of twenty steps each; more by hand
LOOKED_AT_AGAIN_S = 6  # what is remembered of a session is younger
PLENTY = Rate(per_s=100_000, burst=100_000)
ROLES = st.sampled_from(["reader", "operator", "owner"])
ANY = st.integers(0, 1_000)  # of whatever there is, counted round


@dataclass
class Somebody:
    """A person as the book of record has him."""

    person: Person
    role: str
    shut_out: bool = False
    taken: list[str] = field(default_factory=list)  # one-time codes that counted
    spent: list[str] = field(default_factory=list)  # recovery codes that counted
    former: list[str] = field(default_factory=list)  # passwords


@dataclass
class Held:
    """A secret that was in a cookie, whoever has it now."""

    secret: str
    session: str
    csrf: str
    whose: Somebody
    began: int
    fresh_at: int
    seen: int
    ended: bool = False


class House:
    """One API over one PostgreSQL, which may be started anew."""

    def __init__(self, run: Run, app: Litestar, engine: sa.Engine, clock: Clock) -> None:
        self.run, self.app, self.engine, self.clock = run, app, engine, clock
        self.start()

    def start(self) -> None:
        """Nothing that was only remembered is left."""
        services = self.app.state.services
        services.identity.close()
        services.identity = identity_of(self.run, TOKEN, now=self.clock, cost=CHEAP, names=(TEST_HOST,))
        gate = self.app.state.gate = services.identity.gate
        gate._strangers, gate._reading, gate._acting = Flow(PLENTY), Flow(PLENTY), Flow(PLENTY)

    def ask(
        self, client: TestClient[Litestar], method: str, path: str, held: Held | None, body: Any = None
    ) -> Any:
        headers = {"origin": ORIGIN}
        if held:
            headers |= {"cookie": f"kitepilot={held.secret}", "x-csrf-token": held.csrf}
        reply = client.request(method, path, json=body, headers=headers)
        client.cookies.clear()
        return reply


class Walk(RuleBasedStateMachine):
    def __init__(self, house: House, client: TestClient[Litestar]) -> None:
        super().__init__()
        self.house, self.client, self.clock = house, client, house.clock
        self.people: list[Somebody] = []
        self.kept: list[Held] = []

    def ask(self, method: str, path: str, held: Held | None = None, body: Any = None) -> Any:
        return self.house.ask(self.client, method, path, held, body)

    def opens(self, held: Held) -> bool:
        idle, age = self.clock() - held.seen, self.clock() - held.began
        return not (held.ended or held.whose.shut_out or idle >= IDLE_NS or age >= LONGEST_NS)

    def one(self, number: int) -> Held:
        """Mostly one that opens, if any does."""
        open_ones = [each for each in self.kept if number % 4 and self.opens(each)]
        return (open_ones or self.kept)[number // 4 % len(open_ones or self.kept)]

    @initialize(roles=st.tuples(ROLES, ROLES))
    def begin(self, roles: tuple[str, str]) -> None:
        self.house.start()  # which forgets how often others guessed
        identity = self.house.app.state.services.identity
        self.people = [Somebody(enrol(identity, self.house.engine, r, self.clock), r) for r in roles]
        for at in range(len(roles)):
            self.signs_in(at, "code", 0, False)

    @rule(who=ANY, how=st.sampled_from(["code", "code", "recovery"]), cookie=ANY, carrying=st.booleans())
    def signs_in(self, who: int, how: str, cookie: int, carrying: bool) -> None:
        somebody = self.people[who % len(self.people)]
        if sum(each.whose is somebody for each in self.kept) >= KEPT:
            return
        before = self.one(cookie) if carrying and self.kept else None
        person = somebody.person
        if how == "code":
            form = person.form()
        elif person.codes:
            form = person.form(totp="", recovery_code=person.codes[0])
        else:
            return
        reply = self.ask("POST", "/api/v1/session", before, form)
        assert reply.status_code in ((401, 429) if somebody.shut_out else (201, 429)), reply.text
        if reply.status_code != 201:
            return
        if how == "code":
            somebody.taken.append(form["totp"])
        else:
            somebody.spent.append(person.codes.pop(0))
            self.a_thief_signs_in(who, "spent", len(somebody.spent) - 1)
        if before:
            before.ended = True
        self.keep(reply, somebody, self.clock(), self.clock() if how == "code" else 0)

    def keep(self, reply: Any, somebody: Somebody, began: int, fresh_at: int) -> None:
        secret, shown = reply.cookies["kitepilot"], reply.json()
        assert all(secret != each.secret for each in self.kept)
        now = self.clock()
        self.kept.append(Held(secret, shown["session"], shown["csrf_token"], somebody, began, fresh_at, now))

    @rule(who=ANY)
    def signs_in_elsewhere(self, who: int) -> None:
        self.signs_in(who, "code", 0, False)

    @rule(who=ANY, what=st.sampled_from(["taken", "spent", "former", "guessed"]), which=ANY)
    def a_thief_signs_in(self, who: int, what: str, which: int) -> None:
        """With all that is right, but for one thing that counted before."""
        somebody = self.people[who % len(self.people)]
        known = getattr(somebody, what, ["a guess at the sea"])
        if not known:
            return
        old = known[which % len(known)]
        person = somebody.person
        form = {"email": person.email, "password": person.password, "totp": person.code()}
        if what == "taken":
            form["totp"] = old
        elif what == "spent":
            form |= {"totp": "", "recovery_code": old}
        else:
            form["password"] = old
        assert self.ask("POST", "/api/v1/session", None, form).status_code in (401, 429)

    @rule(cookie=ANY, again=st.booleans())
    def steps_up(self, cookie: int, again: bool) -> None:
        held = self.one(cookie)
        taken = held.whose.taken
        if again and not taken:
            return
        code = taken[-1] if again else held.whose.person.fresh_code()
        could = self.opens(held)
        reply = self.ask("POST", "/api/v1/session/step-up", held, {"totp": code})
        if not could:
            assert reply.status_code == 401
        elif again:
            assert reply.status_code in (403, 429), reply.text
        elif reply.status_code != 429:
            assert reply.status_code == 200, reply.text
            taken.append(code)
            held.ended = True
            self.keep(reply, held.whose, held.began, self.clock())

    @rule(cookie=ANY)
    def signs_out(self, cookie: int) -> None:
        held = self.one(cookie)
        assert self.ask("DELETE", "/api/v1/session", held).status_code == (204 if self.opens(held) else 401)
        held.ended = True

    @rule(cookie=ANY, other=ANY)
    def ends_a_session(self, cookie: int, other: int) -> None:
        held, ended = self.one(cookie), self.one(other)
        may = held.whose is ended.whose or held.whose.role == "owner"
        could, was_open = self.opens(held), self.opens(ended)
        status = self.ask("DELETE", f"/api/v1/sessions/{ended.session}", held).status_code
        if not could:
            assert status == 401
        elif not may:
            assert status == 404
        else:
            assert status == 204 if was_open else status in (204, 404)
            for each in self.kept:
                each.ended |= each.session == ended.session

    @rule(who=ANY, role=ROLES)
    def gets_another_role(self, who: int, role: str) -> None:
        somebody = self.people[who % len(self.people)]
        with self.house.engine.begin() as db:
            db.execute(sa.update(users).where(users.c.user_id == somebody.person.user_id).values(role=role))
        somebody.role = role
        self.clock.pass_s(LOOKED_AT_AGAIN_S)

    @rule(who=ANY, what=st.sampled_from(["shut out", "let in", "reset", "ended"]))
    def is_changed_at_the_command_line(self, who: int, what: str) -> None:
        somebody = self.people[who % len(self.people)]
        with self.house.engine.begin() as db:
            if what == "ended":
                accounts.end_everything(db, somebody.person.user_id)
            elif what == "reset":
                self.reset(db, somebody)
            else:
                accounts.disable(db, somebody.person.user_id, what == "shut out")
                somebody.shut_out = what == "shut out"
        if what != "let in":
            for each in self.kept:
                each.ended |= each.whose is somebody
        self.clock.pass_s(LOOKED_AT_AGAIN_S)

    def reset(self, db: sa.Connection, somebody: Somebody) -> None:
        person, identity = somebody.person, self.house.app.state.services.identity
        somebody.former.append(person.password)
        person.password = f"another walk, the {len(somebody.former)}."
        person.secret, person.codes, person.used = new_secret(), new_recovery_codes(), set()
        somebody.spent.clear()
        somebody.taken.clear()
        hashed, sealed = Passwords(CHEAP).hash(person.password), identity.key.seal(person.secret)
        accounts.reset(db, person.user_id, hashed, sealed, map(recovery_hash, person.codes))

    @rule(minutes=st.sampled_from([1, 1, 6, 6, 25, 31, 13 * 60]))
    def time_passes(self, minutes: int) -> None:
        self.clock.pass_s(60 * minutes)

    @rule()
    def the_api_is_started_anew(self) -> None:
        self.house.start()

    @rule(cookie=ANY, path=st.sampled_from(["/api/v1/halt", "/api/v1/resume"]))
    def acts(self, cookie: int, path: str) -> None:
        """Refused before a body is read, or because there is none."""
        held = self.one(cookie)
        needs, could = ("operate" if path.endswith("halt") else "own"), self.opens(held)
        old = self.clock() - held.fresh_at > STEP_UP_NS
        reply = self.ask("POST", path, held, {"reason": 7})
        if not could:
            assert reply.status_code == 401
        elif needs not in RIGHTS[Role(held.whose.role)]:
            assert (reply.status_code, reply.json()["code"]) == (403, "not_permitted")
        elif needs == "own" and old:
            assert (reply.status_code, reply.json()["code"]) == (403, "step_up_required")
        else:
            assert reply.status_code == 400, reply.text

    @invariant()
    def each_secret_opens_what_it_should(self) -> None:
        for held in self.kept:
            could = self.opens(held)
            reply = self.ask("GET", "/api/v1/session", held)
            assert reply.status_code == (200 if could else 401), (held, reply.text)
            if could:
                held.seen = self.clock()
                shown = reply.json()
                assert (shown["name"], shown["session"]) == (held.whose.person.email, held.session)
                assert set(shown["rights"]) == RIGHTS[Role(held.whose.role)]
                assert (shown["fresh_until"] is not None) == (self.clock() - held.fresh_at <= STEP_UP_NS)


@pytest.fixture(scope="module")
def people_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Server(tmp_path_factory.mktemp("walk-home")) as server:
        yield server.url


@pytest.fixture
def run(run: Run, people_url: str) -> Run:
    config = msgspec.structs.replace(run.config, storage=StorageSection(database_url=people_url))
    return Run(run.run_id, run.folder, config)


def test_no_walk_leaves_anybody_with_more_than_the_policy(run: Run, app: Litestar, people_url: str) -> None:
    engine = sa.create_engine(people_url)
    house = House(run, app, engine, Clock())
    with TestClient(app) as client:
        run_state_machine_as_test(
            lambda: Walk(house, client),
            settings=settings(
                max_examples=WALKS,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    engine.dispose()
