"""GET config, POST config/reload: what is configured and from where, and what its file says by now."""

from __future__ import annotations

from functools import partial

import msgspec
from anyio import to_thread
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api import settings
from api.commands import Accepted
from api.identity.guards import fresh, owns
from api.resources.examples import RUN
from api.resources.route import read
from api.resources.trading import ASKED, Key, Why, act
from api.services import Services
from api.settings import Section


class Settings(msgspec.Struct, frozen=True):
    """The configuration of the run that is up, which its orders name by `config_hash`."""

    run_id: str
    config_hash: str
    sections: list[Section]


_SETTING = {
    "key": "risk.daily_loss_rupees", "value": 15_000, "default": 25_000, "unit": "rupees", "source": "file",
}  # fmt: skip
_RISK = {"name": "risk", "means": "Limits in rupees, as a person writes them.", "settings": [_SETTING]}
_SETTINGS = {"run_id": RUN, "config_hash": "4f2c9d3b5a6e7f80", "sections": [_RISK]}


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


ROUTES = (config, reload)
