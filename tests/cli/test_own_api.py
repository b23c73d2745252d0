"""The command line asks this home's own API: where it is, with its own certificate, and nobody else."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.identity.home_proof import ends_at
from kitepilot.cli import own_api
from kitepilot.config import ApiSection, Config, ConfigError

TOKEN = "t0ken-of-this-home-as-long-as-one-is"
Served = Callable[[tuple[str, str] | None], int]
PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Certificate:
    """A name, its key, and who issued it (itself)."""

    itself: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: bytes

    def written(self, folder: Path) -> tuple[str, str]:
        certificate, key = folder / "tls.pem", folder / "tls.key"
        folder.mkdir(exist_ok=True)
        certificate.write_bytes(self.chain)
        kind, open_ = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        key.write_bytes(self.key.private_bytes(PEM, kind, open_))
        return str(certificate), str(key)


def certificate(
    name: str, *, days: int = 30, authority: bool = False, by: Certificate | None = None
) -> Certificate:
    """One that holds from a year ago until `days` from now."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.itself.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(by.key if by else key, hashes.SHA256())
    )
    return Certificate(built, key, built.public_bytes(PEM) + (by.chain if by else b""))


class Answers(http.server.BaseHTTPRequestHandler):
    """Says what it was told."""

    def do_GET(self) -> None:
        body = json.dumps({"told": self.headers.get("authorization", "")}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def listening(files: tuple[str, str] | None) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "api.token").write_text(TOKEN)
    return tmp_path


@pytest.fixture
def served() -> Iterator[Served]:
    with ExitStack() as stack:
        yield lambda files: stack.enter_context(listening(files))


AUTHORITY = certificate("an authority", authority=True)
OURS = {
    "self-signed for another name": certificate("trade.example.com"),
    "over since a week": certificate("localhost", days=-7),
    "issued by somebody, with the chain": certificate("trade.example.com", by=AUTHORITY),
}


@pytest.mark.parametrize("kind", OURS)
def test_the_configured_certificate_is_believed(home: Path, served: Served, kind: str) -> None:
    files = OURS[kind].written(home)
    api = ApiSection(host="0.0.0.0", port=served(files), tls_certificate=files[0], tls_key=files[1])
    assert proves(own_api.status(home, Config(api=api))["told"])


@pytest.mark.parametrize(
    "kind", ["the same name, another key", "issued by the same", "the authority itself", "no TLS at all"]
)
def test_nobody_else_at_the_address_hears_anything(home: Path, served: Served, kind: str) -> None:
    ours = OURS["issued by somebody, with the chain"]
    others = {
        "the same name, another key": certificate("trade.example.com"),
        "issued by the same": certificate("trade.example.com", by=AUTHORITY),
        "the authority itself": AUTHORITY,
    }
    files = ours.written(home)
    port = served(others[kind].written(home / "other") if kind in others else None)
    api = ApiSection(host="0.0.0.0", port=port, tls_certificate=files[0], tls_key=files[1])
    with pytest.raises(httpx.HTTPError):
        own_api.status(home, Config(api=api))


def test_who_listens_at_our_port_hears_that_the_token_is_known_and_not_the_token(
    home: Path, served: Served
) -> None:
    """While KitePilot is down anybody on this machine may."""
    told = own_api.status(home, Config(api=ApiSection(port=served(None))))["told"]
    assert proves(told)
    assert TOKEN not in told


def proves(told: str) -> bool:
    return ends_at(TOKEN, told.removeprefix("Bearer ")) is not None


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_cannot_be_read_is_one_clear_line(home: Path, content: str | None) -> None:
    path = home / "tls.pem"
    if content:
        path.write_text(content)
    api = ApiSection(tls_certificate=str(path), tls_key=str(path))
    with pytest.raises(ConfigError, match=r"tls\.pem cannot be used: (No such|it holds no)"):
        own_api.client(home, Config(api=api))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        *(
            ("127.0.0.1", "http://127.0.0.1:7"),
            ("localhost", "http://localhost:7"),
            ("::1", "http://[::1]:7"),
        ),
        *(("0.0.0.0", "https://127.0.0.1:7"), ("::", "https://[::1]:7"), ("10.1.1.1", "https://10.1.1.1:7")),
    ],
)
def test_it_is_asked_where_it_listens(host: str, address: str) -> None:
    tls = {"tls_certificate": "a", "tls_key": "b"} if address.startswith("https") else {}
    assert own_api.address(ApiSection(host=host, port=7, **tls)) == address


def test_a_dead_api_is_an_answer_too(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(httpx.HTTPError):
            own_api.status(home, Config(api=ApiSection(port=taken.getsockname()[1])))
