"""Spans -> OTLP over HTTP, by the OpenTelemetry SDK; each span under the name of the process that did it."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from kitepilot import __version__
from kitepilot.traces import Span

TIMEOUT_S = 5


class Exporter:
    """Sends spans to one collector. Not thread-safe."""

    def __init__(self, url: str) -> None:
        self._to = OTLPSpanExporter(endpoint=url, timeout=TIMEOUT_S)
        self._resources: dict[str, Resource] = {}

    def send(self, spans: Sequence[Span]) -> bool:
        """Whether the collector took all of them."""
        return self._to.export([self._readable(span) for span in spans]) is SpanExportResult.SUCCESS

    def close(self) -> None:
        self._to.shutdown()  # type: ignore[no-untyped-call]  # the library says no types here

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.span_id),
            parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
            resource=self._resource(span.process),
            attributes={f"kitepilot.{name}": value for name, value in span.attributes.items()},
            kind=SpanKind.CLIENT if span.name == "order" else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.OK),
            start_time=span.start_ns,
            end_time=span.end_ns,
        )

    def _resource(self, process: str) -> Resource:
        if process not in self._resources:
            named = {
                "service.namespace": "kitepilot",
                "service.name": process,
                "service.version": __version__,
            }
            self._resources[process] = Resource(named)
        return self._resources[process]


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
