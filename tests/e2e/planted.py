"""Secrets of every kind in a day that trades: given out where they belong, and looked for everywhere else."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import psutil
import pyotp
from outside import SECRETS as OF_ADDRESSES

from broker_adapter.kite import session
from kitepilot.run import Run

if TYPE_CHECKING:
    from paper_house import PaperDay

OF_ENVIRONMENT = {"KITEPILOT_API_SECRET": "pl4nted-secret-of-the-api"}
EMAIL, PASSWORD = "owner@example.test", "a pl4nted walk by the sea"
WITHIN_S = 600.0
#: kind -> the files that hold it because it is theirs: below the home, R for the run's folder.
OWN_PLACES = {
    "password of PostgreSQL": {"postgres/password"},
    "token of the home": {"api.token"},
    "key of the login": {"R/session.key"},
    "key of sign-in": {"sign-in/paper.key"},
    "key of the seals": {"seals/paper.key"},
    "token of metrics": {"metrics.token"},
}


@dataclass
class Visit:
    """Somebody came in while the day was traded. `secrets`: kind -> text; `read`: what came back of what."""

    secrets: dict[str, str] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)


def visit(paper: PaperDay) -> Visit:
    """An owner is made, signs in and makes a token; he and strangers ask, rightly and wrongly."""
    made, house = Visit(), paper.house
    words = ("users", "add", EMAIL, "--json", "--config", str(house.config_path))
    added = house.call(*words, given=f"{PASSWORD}\n", within_s=WITHIN_S)
    assert added.code == 0, added.err
    person = added.result
    made.secrets |= {"password": PASSWORD, "one-time secret": person["totp_secret"]}
    made.secrets |= {f"recovery code {at}": code for at, code in enumerate(person["recovery_codes"])}
    api = f"http://127.0.0.1:{house.config.api.port}"
    with httpx.Client(base_url=api, headers={"origin": api}, timeout=60, trust_env=False) as client:
        _come_in(client, made)
        _ask(client, made)
    for process in house.processes():
        made.read[f"the words of {process.pid}"] = " ".join(_words(process))
    return made


def _come_in(client: httpx.Client, made: Visit) -> None:
    form = {"email": EMAIL, "password": PASSWORD, "totp": "000000"}
    _hear(made, "a wrong code", client.post("/api/v1/session", json=form))
    form["totp"] = pyotp.TOTP(made.secrets["one-time secret"]).now()
    entered = client.post("/api/v1/session", json=form)
    _hear(made, "a sign-in", entered)
    _hear(made, "the same code again", client.post("/api/v1/session", json=form))
    made.secrets["session"] = client.cookies["kitepilot"]
    csrf = {"x-csrf-token": entered.json()["csrf_token"]}
    token = client.post("/api/v1/tokens", json={"name": "report", "scopes": ["read"]}, headers=csrf)
    assert token.status_code == 201, token.text
    made.secrets["token of a program"] = token.json()["token"]


def _ask(client: httpx.Client, made: Visit) -> None:
    for path in ("/status", "/metrics", "/api/v1/session", "/api/v1/config", "/api/v1/runs", "/"):
        _hear(made, path, client.get(path))
    client.cookies.clear()
    bearer = {"authorization": f"Bearer {made.secrets['token of a program']}x"}
    _hear(made, "a forged token", client.get("/api/v1/session", headers=bearer))
    broken = f'{{"email": "{EMAIL}", "password": "{PASSWORD}", "totp":'
    _hear(made, "a broken body", client.post("/api/v1/session", content=broken))
    _hear(made, "an unsigned postback", client.post("/broker/postbacks", json=dict(OF_ENVIRONMENT)))


def _hear(made: Visit, what: str, reply: httpx.Response) -> None:
    made.read[what] = f"{reply.status_code} {reply.text}"


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def secrets_of(run: Run, visited: Visit) -> dict[str, str]:
    """All that are to be looked for: given from outside, made by the day, and of those who came in."""
    made = {"access token": session.load(run).access_token}
    for kind, places in OWN_PLACES.items():
        for path in (_path(run, place) for place in places):
            made[kind] = path.read_text().strip()
    return {**OF_ENVIRONMENT, **OF_ADDRESSES, **made, **visited.secrets}


def places_of(run: Run, secrets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(kind, file below the home) wherever one is held, as it is or as addresses and headers write it."""
    wanted = {kind: tuple(_forms(text)) for kind, text in secrets.items()}
    for path in run.home.rglob("*"):
        held = _read(path)
        place = str(path.relative_to(run.home)).replace(f"runs/{run.run_id}/", "R/")
        yield from ((kind, place) for kind, forms in wanted.items() if any(each in held for each in forms))


def _read(path: Path) -> bytes:
    """Nothing for what is no file, or none any more: the house may be at its next day."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


def kinds_in(held: bytes, secrets: Mapping[str, str]) -> list[str]:
    """Which of them a text holds."""
    return [kind for kind, text in secrets.items() if any(each in held for each in _forms(text))]


def _forms(text: str) -> set[bytes]:
    return {text.encode(), quote(text, safe="").encode(), base64.b64encode(text.encode())}


def _path(run: Run, place: str) -> Path:
    return run.folder / place[2:] if place.startswith("R/") else run.home / place


def everything_told(day: Any) -> Iterator[tuple[str, bytes]]:
    """What left the day's processes other than into files, part by part."""
    yield "standard output", day.out.encode()
    yield "standard error", day.err.encode()
    yield from ((what, text.encode()) for what, text in day.visit.read.items())
    yield from (("an alert", body.encode()) for body in day.heard.bodies)
    yield from (("a span", span.SerializeToString()) for _, span in day.heard.spans)
