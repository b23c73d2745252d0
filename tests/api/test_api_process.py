"""The API as the supervisor starts it, under TLS, with a secret in every place where one can be.

A person signs in over https, the command line asks it, and nothing that anybody reads holds a secret.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from loopback_ports import free_port
from typer.testing import CliRunner

from api.connections import Bounds
from infra.audit.acts import acts_log
from infra.eventlog import open_log
from infra.fence import RAISED, Fence, Raised
from infra.postgres.embedded import Server
from kitepilot import config as configuration
from kitepilot.cli import background, own_api
from kitepilot.cli.main import app
from kitepilot.config import Config
from kitepilot.run import RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import TOPICS

pytestmark = pytest.mark.stack
EMAIL, PASSWORD = "owner@example.test", "pl4nted words by the sea"
WITHIN_S = 120.0
PER_ADDRESS = Bounds().per_address


def self_signed(folder: Path) -> tuple[str, str]:
    """A certificate for loopback, and its key; made here."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "KitePilot")])
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "tls.pem").write_bytes(made.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / "tls.key").write_bytes(private)
    return str(folder / "tls.pem"), str(folder / "tls.key")


@dataclass
class House:
    """One running API and what was planted; `read` is everything that came out of it."""

    run: Run
    planted: dict[str, str]
    environment: dict[str, str]
    person: dict[str, Any] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return own_api.address(self.run.config.api)

    @property
    def log(self) -> Path:
        return self.log_of("api")

    def log_of(self, process: str) -> Path:
        return self.run.folder / "logs" / f"{process}.log"

    def browser(self) -> httpx.Client:
        """Somebody who was given the certificate, and checks it as browsers do."""
        context = ssl.create_default_context(cafile=self.run.config.api.tls_certificate)
        return httpx.Client(base_url=self.url, verify=context, trust_env=False, timeout=60)

    def sign_in(self, client: httpx.Client, code: str) -> httpx.Response:
        form = {"email": EMAIL, "password": PASSWORD, "totp": code}
        reply = client.post("/api/v1/session", json=form, headers={"origin": self.url})
        self.heard("a sign-in", reply)
        return reply

    def heard(self, what: str, reply: httpx.Response) -> None:
        self.read[what] = f"{reply.status_code} {reply.text}"


def keys(home: Path) -> dict[str, str]:
    """Secrets in files, each where its address in the configuration says."""
    made = {
        "sign-in": Fernet.generate_key().decode(),
        "login": Fernet.generate_key().decode(),
        "seal": base64.b64encode(secrets.token_bytes(32)).decode(),
        "alerts": f"json://user:{secrets.token_hex(12)}@127.0.0.1:1/{secrets.token_hex(12)}",
        "heartbeat": f"http://127.0.0.1:1/{secrets.token_hex(12)}",
        "sentry": f"http://{secrets.token_hex(12)}@127.0.0.1:1/7",
    }
    for name, secret in made.items():
        path = home / f"{name}.secret"
        path.touch(mode=0o600)
        path.write_text(secret)
    return made


def configured(home: Path, database_url: str) -> Config:
    certificate, key = self_signed(home)

    def at(name: str) -> str:
        return (home / f"{name}.secret").as_uri()

    return configuration.build(
        {
            "storage": {
                "database_url": database_url,
                "clickhouse_url": "http://reader:pl4nted-for-clickhouse@127.0.0.1:1",
            },
            "broker": {"token_key_url": at("login"), "api_secret_url": "env:KITEPILOT_API_SECRET"},
            "audit": {"key_url": at("seal")},
            "alerts": {
                "targets": [{"name": "desk", "url_at": at("alerts")}],
                "heartbeat_at": at("heartbeat"),
            },
            "telemetry": {"sentry_at": at("sentry"), "logging": "json"},
            "api": {
                "host": "0.0.0.0",
                "port": free_port(),
                "tls_certificate": certificate,
                "tls_key": key,
                "key_url": at("sign-in"),
            },
        }
    )


def begun(home: Path, database_url: str) -> Run:
    folder = home / "runs" / "paper-20261120-0001"
    (folder / "logs").mkdir(parents=True)
    run = Run(folder.name, folder, configured(home, database_url))
    (folder / "config.yaml").write_text(configuration.dump(run.config))
    (folder / "start_offsets.json").write_text(json.dumps({topic.name: 0 for topic in TOPICS}))
    log = open_log(run)
    log.create_topics(TOPICS)
    log.close()
    return run


def begun_process(house: House, name: str) -> subprocess.Popen[bytes]:
    with house.log_of(name).open("ab") as log:
        words = [sys.executable, "-m", "kitepilot", "run", name]
        return subprocess.Popen(words, stdout=log, stderr=log, env=os.environ | house.environment)


def started(house: House) -> subprocess.Popen[bytes]:
    child = begun_process(house, "api")
    deadline = time.monotonic() + WITHIN_S
    while not house.run.ready_file("api").exists():
        assert child.poll() is None and time.monotonic() < deadline, house.log.read_text()
        time.sleep(0.05)
    return child


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Somebody signed in, asked, and was refused; then the database went away and he tried again."""
    home = tmp_path_factory.mktemp("house")
    with Server(home) as server, pytest.MonkeyPatch.context() as patch:
        run = begun(home, server.url)
        planted = {**keys(home), "API secret": secrets.token_hex(16), "clickhouse": "pl4nted-for-clickhouse"}
        environment = {
            "KITEPILOT_HOME": str(home),
            "KITEPILOT_API_SECRET": planted["API secret"],
            RUN_FOLDER_VARIABLE: str(run.folder),
            "PYTHONPATH": ":".join(sys.path),
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        house = House(run, planted, environment)
        house.person = added(house)
        child = started(house)
        planted |= {
            "database": (home / "postgres" / "password").read_text().strip(),
            "home token": (home / "api.token").read_text().strip(),
            "password": PASSWORD,
            "one-time secret": house.person["totp_secret"],
        } | {f"recovery code {at}": code for at, code in enumerate(house.person["recovery_codes"])}
        try:
            visited(house)
            server.stop()
            with house.browser() as client:
                house.read["without the database"] = house.sign_in(client, "000000").text
            yield house
        finally:
            child.terminate()
            child.wait(60)


def added(house: House) -> dict[str, Any]:
    words = ["users", "add", EMAIL, "--json", "--config", str(house.run.folder / "config.yaml")]
    made = CliRunner().invoke(app, words, input=f"{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    return dict(json.loads(made.stdout))


def visited(house: House) -> None:
    """What a person, a program and a stranger ask, rightly and wrongly."""
    with house.browser() as client:
        house.sign_in(client, "000000")
        signed = house.sign_in(client, pyotp.TOTP(house.person["totp_secret"]).now())
        house.read["the answer to the sign-in"] = f"{signed.status_code} {signed.headers['set-cookie']}"
        house.read["its headers"] = str(dict(signed.headers) | {"set-cookie": ""})
        for path in ("/api/v1/status", "/api/v1/session", "/api/v1/runs", "/api/v1/candles", "/status", "/"):
            house.heard(path, client.get(path))
        for path in ("/metrics", "/schema/openapi.json", "/api/v1/instruments", "/api/v1/reports"):
            house.heard(path, client.get(path))
        broken = f'{{"email": "{EMAIL}", "password": "{PASSWORD}", "totp":'
        house.heard("a broken body", client.post("/api/v1/session", content=broken))
        house.heard("a postback", client.post("/broker/postbacks", json={"checksum": "x"}))
    with house.browser() as stranger:
        token = {"authorization": "Bearer " + house.planted["home token"]}
        house.heard("a command", stranger.post("/control/sell", json={"command_id": "a"}, headers=token))
        house.heard("no command", stranger.post("/control/halt", content=b"{", headers=token))


def test_a_session_under_tls_is_for_this_host_alone_and_never_in_the_clear(house: House) -> None:
    said = house.read["the answer to the sign-in"]
    assert said.startswith("201 __Host-kitepilot="), said
    assert {"secure", "httponly", "path=/", "samesite=lax"} <= set(said.lower().split("; "))
    assert "domain" not in said.lower()
    assert "'strict-transport-security': 'max-age=31536000'" in house.read["its headers"]
    assert f'"name":"{EMAIL}"' in house.read["/api/v1/session"].replace(" ", "")


def test_who_speaks_in_the_clear_or_does_not_know_the_certificate_gets_nothing(house: House) -> None:
    for url in (house.url.replace("https", "http"), house.url):
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{url}/health", trust_env=False, timeout=60)


def test_the_command_line_asks_an_api_under_tls(house: House) -> None:
    assert background._account(house.run.folder)["run_id"] == house.run.run_id
    assert own_api.status(house.run.home, house.run.config)["run_id"] == house.run.run_id
    with house.browser() as stranger:
        assert stranger.get("/status").status_code == 401, "others can reach it, so it asks who it is"


def test_however_many_slow_clients_there_are_a_flatten_is_taken(house: House) -> None:
    """All from the owner's own address, more than are let in: some say nothing, some half, some no TLS."""
    context = ssl.create_default_context(cafile=house.run.config.api.tls_certificate)
    said = (b"", b"POST /control/fl", b"POST /control/halt HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
    with contextlib.ExitStack() as held:
        for number in range(PER_ADDRESS + 60):
            raw = socket.create_connection(("127.0.0.1", house.run.config.api.port), timeout=60)
            held.callback(raw.close)
            if number % 6:
                peer = context.wrap_socket(raw, server_hostname="127.0.0.1")
                held.callback(peer.close)
                peer.sendall(said[number % 3])
        with house.browser() as owner:
            token = {"authorization": "Bearer " + house.planted["home token"]}
            reply = owner.post("/control/flatten", json={"command_id": "slow", "reason": ""}, headers=token)
        assert (reply.status_code, reply.json()["status"]) == (200, "said")


def test_no_secret_is_in_anything_that_the_api_says_or_writes(house: House) -> None:
    assert house.log.read_text(), "nothing was written, so nothing was tried"
    hold_none(house, {**house.read, "the log": house.log.read_text()})


def test_no_secret_is_in_what_the_process_that_calls_people_writes(house: House) -> None:
    """Neither whom it would call nor whom it tells that it lives can be reached, and it says so of both."""
    log, deadline = house.log_of("alerts"), time.monotonic() + WITHIN_S
    Fence(house.run.folder).up(Raised(at=time.time_ns(), reason="somebody must be told", by="a test"))
    child = begun_process(house, "alerts")
    try:
        while len(log.read_text().splitlines()) < 2:
            assert child.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
    finally:
        child.terminate()
        child.wait(60)
        (house.run.folder / RAISED).unlink()
    written = [path for path in house.run.folder.rglob("*") if path.is_file() and path.name != "config.yaml"]
    assert {log, house.log} < set(written)
    hold_none(house, {path.name: path.read_text(errors="replace") for path in written})


def test_no_secret_is_in_what_the_command_line_prints(house: House) -> None:
    given = ["--config", str(house.run.folder / "config.yaml")]
    for words in (["config"], ["doctor", "--json"], ["doctor"]):
        told = CliRunner().invoke(app, [*words, *given])
        assert told.exit_code in (0, 1) and told.output, told.output
        hold_none(house, {" ".join(words): told.output})


def test_no_secret_is_in_the_configurations_text_forms_or_the_audit(house: House) -> None:
    config = house.run.config
    log = acts_log(house.run.home)
    reader = log.reader({("acts", 0): 0})
    acts = [str(record.value) for record in reader.poll(1_000)]
    reader.close()
    log.close()
    assert len(acts) >= 3
    texts = {"repr": repr(config), "str": f"{config}", "shown": configuration.shown(config)}
    hold_none(house, {**texts, "canonical": configuration.canonical(config).decode(), "acts": repr(acts)})


def test_an_error_about_a_secret_does_not_repeat_it(house: House) -> None:
    from broker_adapter.kite import session
    from infra.audit.seal_key import open_key
    from infra.key_urls import SecretError
    from infra.sign_in_key import SignInKey

    home, told = house.run.home, {}
    for name, ask in {
        "sign-in": lambda config: SignInKey(config.api.key_url),
        "login": session.require_key,
        "seal": lambda config: open_key(config, home),
    }.items():
        path = home / f"{name}.secret"
        kept = path.read_text()
        path.write_text(f"broken {kept[:-3]}")
        try:
            with pytest.raises(SecretError) as err:
                ask(house.run.config)
        finally:
            path.write_text(kept)
        told[name] = f"{err.value!r} {err.value}"
        assert kept[:-3] not in told[name]
    hold_none(house, told)


def hold_none(house: House, texts: dict[str, str]) -> None:
    for where, text in texts.items():
        for name, secret in house.planted.items():
            assert len(secret) >= 8, name
            assert secret not in text, f"{name} is in {where}"
