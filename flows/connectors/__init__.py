"""How a Bytewax flow meets the event log: one source for all its inputs, one sink, one orderly end."""

from flows.connectors.sink import LogSink, Out, to_sink
from flows.connectors.source import LogSource

__all__ = ["LogSink", "LogSource", "Out", "to_sink"]
