"""What is measured at a scrape and not before: memory and restarts of the processes, open alerts."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from api.measures import NS_PER_S, STAGES, Measures
from infra.alerts import state_file
from infra.run_processes import of_run
from kitepilot.alerts.kinds import Severity
from kitepilot.run import Run


class MeasuresCollector(Collector):
    """The success metrics as families; each is there from the first scrape, with samples or without."""

    def __init__(self, run: Run, measures: Measures) -> None:
        self._run = run
        self._measures = measures
        self._pids: dict[str, int] = {}
        self._restarts: Counter[str] = Counter()

    def collect(self) -> Iterable[Metric]:
        m = self._measures
        for stage, text in STAGES.items():
            found = m.latencies[stage]
            family = HistogramMetricFamily(f"kitepilot_{stage}_seconds", text)
            family.add_metric([], found.cumulative(), found.sum_s)
            yield family
        yield _gauge("unknown_orders", "Orders whose outcome nobody knows now", len(m.unknown))
        yield _gauge("quote_age_seconds", "Newest quote's age when its second closed", m.quote_age_s)
        received_at = m.tick_received_at
        age_s = (time.time_ns() - received_at) / NS_PER_S if received_at else None
        yield _gauge("tick_age_seconds", "Since the newest marked record was received, machine time", age_s)
        use = GaugeMetricFamily("kitepilot_limit_use_ratio", "Share of a limit in use", labels=["limit"])
        for limit, share in m.limit_use().items():
            use.add_metric([limit], share)
        yield use
        differences = CounterMetricFamily(
            "kitepilot_reconciliation_differences", "Differences found in the broker's books", labels=["rule"]
        )
        for rule, count in dict(m.differences).items():
            differences.add_metric([rule], count)
        yield differences
        yield from self._processes()
        yield self._alerts()

    def _processes(self) -> Iterable[Metric]:
        memory = GaugeMetricFamily(
            "kitepilot_process_memory_bytes", "Resident memory of a process of the run", labels=["process"]
        )
        restarts = CounterMetricFamily(
            "kitepilot_process_restarts", "Times a process came back as another one", labels=["process"]
        )
        for name, seen in of_run(self._run).items():
            self._restarts[name] += self._pids.get(name, seen.pid) != seen.pid
            self._pids[name] = seen.pid
            memory.add_metric([name], seen.memory_bytes)
        for name, count in self._restarts.items():
            restarts.add_metric([name], count)
        return memory, restarts

    def _alerts(self) -> Metric:
        family = GaugeMetricFamily(
            "kitepilot_alerts_open", "Alerts that are neither over nor seen", labels=["severity"]
        )
        with contextlib.suppress(OSError, msgspec.DecodeError):
            state = state_file.read(self._run.folder)
            standing = Counter(a.severity for a in state.desk.alerts.values() if a.open) if state else {}
            for severity in Severity:
                family.add_metric([severity.value], standing.get(severity, 0))
        return family


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    """None: not known yet, so that no zero pretends to be measured."""
    family = GaugeMetricFamily(f"kitepilot_{name}", text)
    if value is not None:
        family.add_metric([], value)
    return family
