"""Stamps of the events -> how long things took lately: quantiles over the last few hundred of each kind."""

from __future__ import annotations

from collections import OrderedDict, deque

import msgspec

from kitepilot import events as e

WINDOW = 256
SIGNALS_KEPT = 1_024
NS_PER_MS = 1e6


class Took(msgspec.Struct, frozen=True):
    """Milliseconds of machine time over the last `count` cases."""

    count: int
    p50_ms: float
    p95_ms: float


class Latencies:
    """tick -> signal, signal -> verdict, request -> the broker's reply."""

    def __init__(self) -> None:
        self._signal: deque[float] = deque(maxlen=WINDOW)
        self._verdict: deque[float] = deque(maxlen=WINDOW)
        self._ack: deque[float] = deque(maxlen=WINDOW)
        self._raised: OrderedDict[str, int] = OrderedDict()

    def hear(self, event: e.AnyEvent) -> None:
        match event:
            case e.SignalRaised():
                self._signal.append((event.emitted_at - event.received_at) / NS_PER_MS)
                self._raised[event.signal_id] = event.emitted_at
                if len(self._raised) > SIGNALS_KEPT:
                    self._raised.popitem(last=False)
            case e.Verdict() if event.signal_id in self._raised:
                since = self._raised.pop(event.signal_id)
                self._verdict.append((event.emitted_at - since) / NS_PER_MS)
            case e.OrderJournaled() if event.latency_ns:
                self._ack.append(event.latency_ns / NS_PER_MS)

    def took(self) -> dict[str, Took]:
        """By name; a kind without a case is left out."""
        kinds = {
            "tick_to_signal": self._signal,
            "signal_to_verdict": self._verdict,
            "order_to_reply": self._ack,
        }
        return {name: _took(times) for name, times in kinds.items() if times}


def _took(times: deque[float]) -> Took:
    ordered = sorted(times)
    last = len(ordered) - 1
    return Took(len(ordered), round(ordered[last // 2], 1), round(ordered[last * 95 // 100], 1))
