"""The application: wires what others own. Each part brings its `ROUTES`; this module has none of its own."""

from __future__ import annotations

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from prometheus_client import CollectorRegistry

from api import openapi, problems, unversioned
from api.console import pages
from api.identity import routes as identity
from api.identity.gate import Authentication
from api.identity.guards import known, reads
from api.identity.headers import MAX_BODY_BYTES, harden
from api.identity.patience import Patience
from api.identity.requested import Requested
from api.lag_metrics import LagCollector
from api.live import stream
from api.machine_metrics import MeasuresCollector
from api.metrics import SnapshotCollector
from api.resources import (
    alerts,
    backtests,
    book,
    chart,
    market,
    model_stages,
    order_cancel,
    order_story,
    orders,
    readiness,
    reports,
    research,
    risk,
    risk_preview,
    settings,
    signal_preview,
    signals,
    status,
    timeline,
    trading,
)
from api.resources.route import Tagged
from api.scrape import Scrape
from api.services import Services, people, provided

RESOURCES = (
    stream,
    status,
    orders,
    order_story,
    order_cancel,
    readiness,
    settings,
    risk,
    signals,
    market,
    chart,
    book,
    model_stages,
    reports,
    trading,
    timeline,
    risk_preview,
    alerts,
    signal_preview,
    backtests,
    research,
)

#: What handlers ask for by name.
GIVEN = {
    "services": Provide(provided, sync_to_thread=False),
    "identity": Provide(people, sync_to_thread=False),
}


def versioned() -> Router:
    """Everything under /api/v1 but signing in."""
    handlers = [route for resource in RESOURCES for route in resource.ROUTES]
    return Router("/api/v1", route_handlers=handlers, response_class=Tagged, guards=[reads])


def described() -> Litestar:
    """The same routes over nothing, for the reference: it only reads what they say of themselves."""
    app = Litestar(
        [versioned(), *identity.ROUTES, *unversioned.ROUTES],
        dependencies=dict(GIVEN),
        openapi_config=openapi.config(),
    )
    return openapi.completed(app)


def create_app(services: Services) -> Litestar:
    """The application over its services; the caller starts and stops them. Every route is behind the gate."""
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(services.view, services.postbacks.counts))
    registry.register(MeasuresCollector(services.run, services.measures))
    registry.register(LagCollector(services.run, services.log, services.view))
    app = Litestar(
        [versioned(), *identity.ROUTES, *unversioned.ROUTES, *pages.ROUTES],
        dependencies=dict(GIVEN),
        exception_handlers=dict(problems.HANDLERS),
        state=State({"services": services, "scrape": Scrape(registry), "gate": services.identity.gate}),
        middleware=[Requested(), Patience(), Authentication],
        before_send=[harden],
        request_max_body_size=MAX_BODY_BYTES,
        guards=[known],
        openapi_config=openapi.config(),
    )
    return openapi.completed(app)
