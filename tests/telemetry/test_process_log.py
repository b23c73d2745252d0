"""What a process writes has no secret in it, wherever it goes: the file, Loki, Sentry."""

import gzip
import importlib
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import key_urls, masking
from infra.telemetry.loki import MOST_WAITING, Loki
from infra.telemetry.process_log import Lines, Speaker
from kitepilot import config as configuration
from kitepilot.config import ConfigError

SECRET = "pl4nted-s3cret-value"
WAIT_S = 60.0
WRITTEN = (
    "Authorization: token kitekey:{0}",
    "authorization: Bearer {0}",
    "GET /session?request_token={0}&action=login",
    '{{"access_token": "{0}", "user": "AB1234"}}',
    "{{'api_secret': '{0}'}}",
    "postgresql://kitepilot:{0}@127.0.0.1:5432/kitepilot",
    "password={0} host=db",
    "KITEPILOT_API_SECRET={0}",
)


@pytest.mark.parametrize("text", WRITTEN)
def test_what_is_written_like_a_secret_is_masked_though_nobody_noted_it(text: str) -> None:
    shown = masking.mask(text.format("unn0ted-value-of-it"))
    assert "unn0ted" not in shown
    assert masking.MASK in shown


@pytest.mark.parametrize(
    "text",
    [
        "the login of AB1234 ended at 06:00 IST: a login is needed",
        "http://127.0.0.1:18200/health answers 200",
        "token 738561 INFY: 5 shares",
        "checksums on, 12 secrets: none",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert masking.mask(text) == text


def test_a_secret_that_was_read_is_never_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_TEST_SECRET", "tgram://bot987654321token/chat")
    key_urls.read("env:ALERTS_TEST_SECRET")
    shown = masking.mask("cannot reach bot987654321token: refused; tgram://bot987654321token/chat")
    assert "987654321" not in shown
    assert "refused" in shown


def test_a_key_that_names_a_secret_hides_its_value() -> None:
    event = {"extra": {"api_secret": 5, "user": "AB1234", "list": [{"cookie": "x"}]}, "n": 1}
    hidden = {"extra": {"api_secret": "***", "user": "AB1234", "list": [{"cookie": "***"}]}, "n": 1}
    assert masking.masked(event) == hidden


@given(
    st.lists(st.sampled_from(["INFY", SECRET, "\n", " ", "password=", SECRET[:8], SECRET[8:]]), max_size=30)
)
def test_however_a_secret_is_cut_into_writes_no_line_holds_it(pieces: list[str]) -> None:
    masking.note(SECRET)
    for form in ("text", "json"):
        out = io.StringIO()
        lines = Lines(Speaker(out, "market", form, "r", "c0"), out)  # type: ignore[arg-type]
        for piece in pieces:
            lines.write(piece)
        lines.finish()
        assert SECRET not in out.getvalue()
        if form == "json":
            told = [json.loads(line) for line in out.getvalue().splitlines()]
            assert all(each["process"] == "market" and each["at_ist"].endswith("+05:30") for each in told)


CRASHES = """
import logging, sys, threading
from pathlib import Path
from infra import key_urls
from infra.telemetry.process_log import install
from kitepilot import config
from kitepilot.run import Run
run = Run("r", Path(sys.argv[1]), config.load(Path(sys.argv[1]) / "config.yaml"))
install(run, "market")
secret = key_urls.read("env:PLANTED")
print("read", secret)
logging.getLogger("library").warning("with %s", secret)
sys.stderr.write("half of " + secret[:5])
sys.stderr.write(secret[5:] + " and done\\n")
def fail(held):  # nobody noted what it holds: no trace of a failure shows what a variable was
    derived = held[::-1]
    raise RuntimeError(f"cannot log in with {secret}") from ValueError("of a thread") if derived else None
thread = threading.Thread(target=fail, args=(secret,))
thread.start()
thread.join()
fail(secret)
"""


#: Before anything else: every connection is told, and at the end whatever was loaded.
WATCHED = """
import atexit, sys
def hear(event, _arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        sys.__stderr__.write(f"connects: {event}\\n")
sys.addaudithook(hear)
atexit.register(lambda: sys.__stdout__.write(f"loaded: {sorted(sys.modules)}\\n"))
"""


def crashed(folder: Path, telemetry: dict[str, Any], **environment: str) -> subprocess.CompletedProcess[str]:
    config = configuration.build({"telemetry": telemetry})
    (folder / "config.yaml").write_text(configuration.dump(config))
    return subprocess.run(
        [sys.executable, "-c", WATCHED + CRASHES, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={"PLANTED": SECRET, "PYTHONPATH": ":".join(sys.path)} | environment,
    )


def test_a_process_that_crashes_with_a_secret_in_its_words_writes_none(tmp_path: Path) -> None:
    done = crashed(tmp_path, {"logging": "json"})
    assert done.returncode == 1
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("loaded: ")]
    told = [json.loads(line) for line in lines]
    assert SECRET not in done.stdout + done.stderr
    assert SECRET[::-1] not in done.stdout + done.stderr, "nor what is made of it"
    ids = {(each["process"], each["run_id"], each["config_hash"]) for each in told}
    config = configuration.build({"telemetry": {"logging": "json"}})
    assert ids == {("market", "r", configuration.config_hash(config))}
    levels = {each["level"] for each in told}
    assert levels == {"info", "warning", "critical"}
    fatal = [each["message"] for each in told if each["level"] == "critical"]
    assert len(fatal) == 2, "of the thread, and of the process"
    assert all("RuntimeError: cannot log in with ***" in each for each in fatal)


# --- receivers ------------------------------------------------------------------------------------------


class Receiver(ThreadingHTTPServer):
    """Keeps the bodies of POSTs, unpacked; refuses the first `refusing` of them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusing = 0
        self.bodies: list[tuple[str, str]] = []
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self._body()
        match self.headers.get("content-encoding"):
            case "gzip":
                body = gzip.decompress(body)
            case "br":  # where the library is installed
                body = importlib.import_module("brotli").decompress(body)
        refused = self.server.refusing > 0
        self.server.refusing -= refused
        if not refused:
            self.server.bodies.append((self.path, body.decode()))
        self.send_response(500 if refused else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["content-length"]))

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()
    server.thread.join()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_loki_has_every_line_in_order_though_it_was_away_for_a_while(receiver: Receiver) -> None:
    receiver.refusing = 2
    loki = Loki(f"http://{receiver.at}", "market", "r", every_s=0.01).started()
    for number in range(1_200):
        loki.hear(number, f"line {number}")
    told: list[str] = []

    def arrived() -> int:
        streams = [json.loads(body)["streams"][0] for _, body in list(receiver.bodies)]
        assert all(stream["stream"]["process"] == "market" for stream in streams)
        told[:] = [line for stream in streams for _, line in stream["values"]]
        return len(told)

    until(lambda: arrived() >= 1_200)
    loki.stop()
    assert told == [f"line {number}" for number in range(1_200)]
    assert {path for path, _ in receiver.bodies} == {"/loki/api/v1/push"}


def test_while_loki_is_away_the_newest_lines_wait_and_no_more(receiver: Receiver) -> None:
    loki = Loki(f"http://{receiver.at}", "market", "r")
    for number in range(MOST_WAITING + 7):
        loki.hear(number, str(number))
    assert loki.dropped == 7


def test_sentry_and_loki_are_told_of_a_crash_and_of_no_secret(tmp_path: Path, receiver: Receiver) -> None:
    settings = {"loki_url": f"http://{receiver.at}", "sentry_at": "env:DSN_FOR_TEST"}
    done = crashed(tmp_path, settings, DSN_FOR_TEST=f"http://publickey123@{receiver.at}/7")
    assert done.returncode == 1
    bodies = dict(receiver.bodies)
    assert "/loki/api/v1/push" in bodies
    envelopes = [body for path, body in receiver.bodies if "envelope" in path]
    assert len(envelopes) == 2
    assert all("RuntimeError" in each for each in envelopes)
    assert all('"process":"market"' in each.replace(" ", "") for each in envelopes)
    everything = "".join(bodies.values()) + "".join(envelopes) + done.stdout + done.stderr
    assert "cannot log in with ***" in everything
    assert SECRET not in everything and SECRET[::-1] not in everything
    assert not any("server_name" in each for each in envelopes)


@pytest.mark.parametrize("loki", [False, True])
def test_without_configuration_nothing_leaves_and_nothing_is_loaded_for_it(
    tmp_path: Path, receiver: Receiver, loki: bool
) -> None:
    done = crashed(tmp_path, {"loki_url": f"http://{receiver.at}"} if loki else {})
    assert done.returncode == 1
    assert ("connects: " in done.stderr) == loki, "the check hears a connection"
    (loaded,) = [line for line in done.stdout.splitlines() if line.startswith("loaded: ")]
    assert ("'infra.telemetry.loki'" in loaded) == loki
    assert not [name for name in ("sentry_sdk", "opentelemetry", "apprise") if f"'{name}'" in loaded]


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"telemetry\.loki_url"):
        configuration.build({"telemetry": {"loki_url": "loki:3100"}})
