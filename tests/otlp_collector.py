"""A collector of traces for tests: it keeps every span it is sent, by the process that the span names."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATH = "/v1/traces"


class Collector(ThreadingHTTPServer):
    """Speaks OTLP over HTTP; refuses the first `refusing` requests for good (400: not to be tried again)."""

    daemon_threads = True

    def __init__(self, refusing: int = 0, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.refusing = refusing
        self.refused = 0
        self.taken: list[tuple[str, Any]] = []  # service, span
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{PATH}"

    def take(self, path: str, body: bytes) -> int:
        """The status that a request is answered with."""
        if self.refused < self.refusing:
            self.refused += 1
            return 400
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.taken += [(named["service.name"], span) for span in scope.spans]
        return 200


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.send_response(self.server.take(self.path, self.rfile.read(int(self.headers["content-length"]))))
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(self.server.take(self.path, b""))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""
