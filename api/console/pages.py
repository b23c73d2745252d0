"""The console's pages: the door, Now, and those that look back or change something."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException

from api.console import assets
from api.console.page import page, to_sign_in
from api.identity.guards import OPEN, reads
from api.services import Services


@get("/sign-in", opt=OPEN, include_in_schema=False)
async def sign_in(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The door. Where it leads afterwards is checked in the browser: a path of ours, nothing else."""
    return page(request, "sign_in.html", path="/sign-in")


@get("/", guards=[reads], include_in_schema=False)
async def now(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """What is so at this moment: its figures come with it, and the stream goes on from them."""
    opening = services.hub.opening()
    return page(request, "now.html", path="/", figures=opening.body, last_id=opening.id)


@get("/day", guards=[reads], include_in_schema=False)
async def day(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Everything that happened today, and the whole of each decision."""
    return page(request, "day.html", path="/day")


@get("/alerts", guards=[reads], include_in_schema=False)
async def alerts(request: Request[Any, Any, Any]) -> Response[bytes]:
    """What a person must know, and who said that he does."""
    return page(request, "alerts.html", path="/alerts")


@get("/chart", guards=[reads], include_in_schema=False)
async def chart(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Candles of an instrument with the decisions on them."""
    return page(request, "chart.html", path="/chart")


@get("/risk", guards=[reads], include_in_schema=False)
async def risk(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The limits, and what a change of them would have refused today."""
    return page(request, "risk.html", path="/risk")


@get("/strategies", guards=[reads], include_in_schema=False)
async def strategies(request: Request[Any, Any, Any]) -> Response[bytes]:
    """What trades, and the models it listens to."""
    return page(request, "strategies.html", path="/strategies")


@get("/runs", guards=[reads], include_in_schema=False)
async def runs(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Every run of this home and what its day came to."""
    return page(request, "runs.html", path="/runs")


@get("/readiness", guards=[reads], include_in_schema=False)
async def readiness(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The checks of the morning: may KitePilot trade, and if not, what to do."""
    return page(request, "readiness.html", path="/readiness")


@get("/settings", guards=[reads], include_in_schema=False)
async def settings(request: Request[Any, Any, Any]) -> Response[bytes]:
    """What is configured, and from where."""
    return page(request, "settings.html", path="/settings")


@get("/research", guards=[reads], include_in_schema=False)
async def research(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Backtests with their reports, each in a frame that runs nothing, and signals over bars of one's own."""
    return page(request, "research.html", path="/research", frames="'self'")


def router(*handlers: Any) -> Router:
    """Pages: a stranger is led to the door instead of being told a problem."""
    return Router("/", route_handlers=handlers, exception_handlers={NotAuthorizedException: to_sign_in})


ROUTES: list[Any] = [
    router(sign_in, now, day, alerts, chart, risk, strategies, runs, readiness, settings, research),
    assets.asset,
]
