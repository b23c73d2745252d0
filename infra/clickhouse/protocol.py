"""ClickHouse's HTTP protocol, the part its clients use: one request per connection thread at a time."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from infra.clickhouse import bodies, encodings, execution, requests
from infra.clickhouse.engine import Engine
from infra.clickhouse.errors import RequestError, described

log = logging.getLogger(__name__)

#: Client connections at once (each has a thread); the next one is closed unanswered and may come again.
CONNECTIONS = 128
#: What is read and thrown away of a refused body; past it the connection is cut instead.
DRAINED_BYTES = 16 << 20
DISPLAY_NAME = "kitepilot-embedded"


class Server(ThreadingHTTPServer):
    """Listens on loopback only. `active` is the number of requests being served."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, port: int, engine: Engine, passwords: Mapping[str, str]) -> None:
        self.engine = engine
        self.passwords = passwords
        self.active = 0
        self.counting = threading.Lock()
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(("127.0.0.1", port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            log.warning("%d connections are open; one more was closed", CONNECTIONS)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(sys.exception(), ConnectionError):
            return  # the client went away; whoever it was does not wait for an answer
        log.exception("a connection failed")


class Handler(BaseHTTPRequestHandler):
    """One connection; also the `execution.Answer` of the request it is serving."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "ClickHouse"
    sys_version = ""
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    timeout = 600.0  # idle keep-alive

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        if target.path in ("/ping", "/replicas_status") or (target.path == "/" and not target.query):
            self._begin_request("")
            self.whole(b"Ok.\n", {})
            return
        self._serve(readonly=True)

    def do_POST(self) -> None:
        self._serve(readonly=False)

    def _begin_request(self, query_id: str) -> None:
        self._query_id = query_id
        self._streaming = False
        self._encoding = ""
        self._encoder: encodings.Encoder | None = None

    def _serve(self, *, readonly: bool) -> None:
        with self.server.counting:
            self.server.active += 1
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        self._begin_request(requests.new_query_id(parameters))
        body = bodies.received(self.rfile, self.headers)  # type: ignore[arg-type]
        try:
            request = self._request(parameters, body)
            self._encoding = encodings.chosen(self.headers, parameters)  # type: ignore[arg-type]
            execution.serve(self.server.engine, request, self, readonly=readonly)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True
        except Exception as err:
            self._fail(err, body)
        finally:
            with self.server.counting:
                self.server.active -= 1

    def _request(self, parameters: dict[str, str], body: Iterator[bytes]) -> requests.Request:
        tables: list[bodies.UploadedTable] = []
        content_type = self.headers.get("Content-Type") or ""
        # who it is comes first: a stranger's body is never parsed
        account = requests.authenticated(self.headers, parameters, self.server.passwords)  # type: ignore[arg-type]
        if content_type.startswith("multipart/form-data"):
            fields, tables = bodies.form(content_type, body)
            parameters, body = parameters | fields, iter(())
        return requests.understood(
            account,
            self._query_id,
            self.headers,  # type: ignore[arg-type]
            parameters,
            body=body,
            tables=tables,
        )

    def _fail(self, err: Exception, body: Iterator[bytes]) -> None:
        if not isinstance(err, (RequestError, RuntimeError)):
            log.exception("internal error")
        if self._streaming:  # the chunked body stays unfinished, so the client cannot take it for complete
            self.close_connection = True
            return
        status, code, text = described(err, self.server.engine.version)
        with suppress(OSError, RequestError):
            self._drain(body)
            self._head(status, {"X-ClickHouse-Exception-Code": str(code)}, len(text.encode()) + 1)
            self.wfile.write(text.encode() + b"\n")
            return
        self.close_connection = True

    def _drain(self, body: Iterator[bytes]) -> None:
        drained = 0
        for piece in body:
            drained += len(piece)
            if drained > DRAINED_BYTES:
                self.close_connection = True
                return

    def _head(self, status: int, headers: Mapping[str, str], length: int | None) -> None:
        self.send_response_only(status)
        sent = {
            "Date": self.date_time_string(),
            "Connection": "close" if self.close_connection else "Keep-Alive",
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Server-Display-Name": DISPLAY_NAME,
            "X-ClickHouse-Timezone": self.server.engine.timezone,
            "X-ClickHouse-Query-Id": self._query_id,
            **headers,
        }
        sent |= {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()

    # --- execution.Answer ---------------------------------------------------------------------------

    def whole(self, body: Any, headers: dict[str, str]) -> None:
        if self._encoding and len(body):
            frame = encodings.encoder(self._encoding)
            body = frame.block(bytes(body)) + frame.end()
            headers = headers | {"Content-Encoding": self._encoding}
        self._head(200, headers, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin(self, headers: dict[str, str]) -> None:
        self._streaming = True
        if self._encoding:
            self._encoder = encodings.encoder(self._encoding)
            headers = headers | {"Content-Encoding": self._encoding}
        self._head(200, headers, None)

    def piece(self, data: bytes) -> None:
        if data:
            self._chunk(self._encoder.block(data) if self._encoder else data)

    def end(self) -> None:
        if self._encoder:
            self._chunk(self._encoder.end())
        self.wfile.write(b"0\r\n\r\n")
        self._streaming = False

    def _chunk(self, data: bytes) -> None:
        if data:  # an empty chunk would end the body
            self.wfile.write(b"%x\r\n" % len(data))
            self.wfile.write(data)
            self.wfile.write(b"\r\n")
