"""GET config and its history, POST config/reload: what is configured, from where, and what its file says."""

from __future__ import annotations

from functools import partial

import msgspec
from anyio import to_thread
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api import config_history, settings
from api.commands import Accepted
from api.config_history import Configured
from api.cursors import Cursor, Limit
from api.identity.guards import fresh, owns
from api.resources import examples
from api.resources.examples import AT, RUN
from api.resources.route import read
from api.resources.trading import ASKED, Key, Why, act
from api.services import Services
from api.settings import Section


class Settings(msgspec.Struct, frozen=True):
    """The configuration of the run that is up, which its orders name by `config_hash`."""

    run_id: str
    config_hash: str
    sections: list[Section]


class History(msgspec.Struct, frozen=True):
    """Newest first. `next` is null on the last page."""

    items: list[Configured]
    next: str | None


_SETTING = {
    "key": "risk.daily_loss_rupees", "value": 15_000, "default": 25_000, "unit": "rupees", "source": "file",
}  # fmt: skip
_RISK = {"name": "risk", "means": "Limits in rupees, as a person writes them.", "settings": [_SETTING]}
_SETTINGS = {"run_id": RUN, "config_hash": "4f2c9d3b5a6e7f80", "sections": [_RISK]}

_CHANGE = {"key": "risk.daily_loss_rupees", "before": 25_000, "after": 15_000}
_CONFIGURED = {
    "run_id": RUN, "config_hash": "4f2c9d3b5a6e7f80", "made": AT, "by": "asha@desk", "changes": [_CHANGE],
}  # fmt: skip


@read(
    "/config",
    operation_id="getConfig",
    summary="The configuration in force, key by key, with its source",
    answers=Settings,
    example=_SETTINGS,
    also=(503,),
)
async def config(services: NamedDependency[Services]) -> Settings:
    run = services.run
    found = await to_thread.run_sync(settings.sections, run)
    return Settings(run.run_id, run.config_hash, found)


@read(
    "/config/history",
    operation_id="listConfigurations",
    summary="Who opened a run with which configuration, and what had changed, newest first",
    answers=History,
    example=examples.page(_CONFIGURED),
    also=(404, 503),
)
async def history(services: NamedDependency[Services], limit: Limit = 20, cursor: Cursor = None) -> History:
    return History(*await config_history.history(services.record, limit, cursor))


@act(
    "/config/reload",
    operation_id="reloadConfig",
    summary="Read the configuration file again, and say what of it this run cannot take",
    guards=[owns, fresh],
    also=(422,),
)
async def reload(
    request: ASKED, services: NamedDependency[Services], data: JSONBody[Why], idempotency_key: Key = None
) -> Accepted:
    """409 with every key that differs and how it comes into force; 202 where the file says what it said."""
    deed = partial(settings.reload, services.run, services.effects, request.user.name)
    return await services.commands.once(
        request.user, idempotency_key, f"{settings.RELOAD} {data.reason}", deed
    )


ROUTES = (config, history, reload)
