"""How far each process has read each topic, beside the topic's end; measured at a scrape."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.view import View
from infra import read_positions
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run

LABELS = ["consumer", "topic"]


class LagCollector(Collector):
    """Positions are of the last commit, so a consumer that keeps up lags by what came in a second or two."""

    def __init__(self, run: Run, log: EventLog, view: View) -> None:
        self._run = run
        self._log = log
        self._view = view

    def collect(self) -> Iterable[Metric]:
        """Both families have the same labels; a topic whose end cannot be asked for has no lag."""
        reached = read_positions.read(self._run) | {"api": dict(self._view.positions)}
        ends = self._ends({topic for positions in reached.values() for topic in positions})
        position = GaugeMetricFamily(
            "kitepilot_consumer_position", "Next record of a topic that a process will read", labels=LABELS
        )
        lag = GaugeMetricFamily("kitepilot_lag_records", "Records a process has not yet read", labels=LABELS)
        for consumer, positions in reached.items():
            for topic, offset in positions.items():
                position.add_metric([consumer, topic], offset)
                if topic in ends:
                    lag.add_metric([consumer, topic], max(ends[topic] - offset, 0))
        return position, lag

    def _ends(self, topics: Iterable[str]) -> dict[str, int]:
        """Until one cannot be had: a log that is away is not asked nine times, each with its time limit."""
        found: dict[str, int] = {}
        with suppress(LogError, OSError):
            for topic in topics:
                found[topic] = self._log.end_offset(topic)
        return found
