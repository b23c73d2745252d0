"""The snapshot as Prometheus metrics, collected when asked for: nothing is kept twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.view import View
from kitepilot import events as e
from kitepilot.events import TradingState

#: name, text, attribute of the account, what it is divided by
ACCOUNT = (
    ("realised_rupees", "Realised P&L before charges", "realised_paise", 100),
    ("unrealised_rupees", "Unrealised P&L", "unrealised_paise", 100),
    ("charges_rupees", "Charges so far", "charges_paise", 100),
    ("gross_exposure_rupees", "Sum of absolute positions", "gross_exposure_paise", 100),
    ("open_positions", "Instruments held", "open_positions", 1),
    ("working_orders", "Orders without a final state", "working_orders", 1),
)


class SnapshotCollector(Collector):
    """Turns one `View` into metric families at each scrape."""

    def __init__(self, view: View, postbacks: Mapping[str, int]) -> None:
        self.view = view
        self.postbacks = postbacks

    def collect(self) -> Iterable[Metric]:
        s = self.view.snapshot
        yield _gauge("session_time_seconds", "Session time, epoch seconds", s.marked_at / 1e9)
        yield from self._account()
        yield _labelled("signals", "Signals raised", "strategy", s.signals)
        yield CounterMetricFamily("kitepilot_approved", "Orders approved by risk", s.approved)
        yield _labelled("denials", "Orders denied by risk", "code", s.denials)
        yield _labelled("order_events", "Lines journaled by the gateway", "kind", s.orders)
        yield _labelled("dead_letters", "Input that could not be used", "reason", s.dead_letters)
        yield _labelled("postbacks", "HTTP postbacks by what became of them", "outcome", self.postbacks)
        yield _labelled("reconciliations", "Reconciliations with the broker", "verdict", s.reconciliations)
        yield _labelled("alarms", "Alarms raised by the gateway", "kind", s.alarm_kinds)
        yield _labelled("drifts", "Drift found in scores and features", "detector", s.drift_detectors)
        live = sum(not e.OrderStatus(each["status"]).terminal for each in list(s.foreign_orders.values()))
        yield _gauge("foreign_orders_live", "Live orders of the account that are not ours", live)

    def _account(self) -> Iterable[Metric]:
        state = GaugeMetricFamily("kitepilot_trading_state", "1 for the current state", labels=["state"])
        for each in TradingState:
            state.add_metric([each.value], float(each is self.view.snapshot.state))
        yield state
        for name, text, attribute, unit in ACCOUNT:
            family = GaugeMetricFamily(f"kitepilot_{name}", text)
            if (account := self.view.snapshot.account) is not None:
                family.add_metric([], getattr(account, attribute) / unit)
            yield family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"kitepilot_{name}", text, value)


def _labelled(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"kitepilot_{name}", text, labels=[label])
    for key, count in dict(counts).items():
        family.add_metric([key], count)
    return family
