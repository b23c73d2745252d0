"""GET config, its history and what its file says by now; POST config/reload, which takes that."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import msgspec
from anyio import to_thread
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api import config_history, settings
from api.commands import Accepted
from api.config_history import Configured
from api.cursors import Cursor, Limit
from api.identity.guards import owns
from api.identity.peers import address
from api.reloading import Asked
from api.resources import examples
from api.resources.examples import AT, RUN
from api.resources.route import read
from api.resources.trading import ASKED, MAX_REASON, Key, act
from api.services import Services
from api.settings import Section
from kitepilot import reloading
from kitepilot.config import config_hash
from kitepilot.reloading import Difference

MAX_HASH = 64
HASH = "4f2c9d3b5a6e7f80"


class Settings(msgspec.Struct, frozen=True):
    """The configuration of the run that is up, which its orders name by `config_hash`.

    `in_force` is the hash of what stands here: another one once the file was read again.
    """

    run_id: str
    config_hash: str
    in_force: str
    sections: list[Section]


class History(msgspec.Struct, frozen=True):
    """Newest first. `next` is null on the last page."""

    items: list[Configured]
    next: str | None


class Reread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`seen`: the hash of the file as it was looked at; another file is then refused."""

    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON)] = ""
    seen: Annotated[str, msgspec.Meta(max_length=MAX_HASH)] = ""


class Differs(msgspec.Struct, frozen=True):
    """One key: what is in force, and what the file says. `taken`: now | next (with a run that opens)."""

    key: str
    before: Any
    after: Any
    taken: str
    how: str


class FileSays(msgspec.Struct, frozen=True):
    """`file`: the hash of what it says. `whole`: it can be taken now, all of it; `code`: with a fresh one."""

    file: str
    whole: bool
    code: bool
    differences: list[Differs]


_SETTING = {
    "key": "risk.daily_loss_rupees", "value": 15_000, "default": 25_000, "unit": "rupees", "source": "file",
}  # fmt: skip
_RISK = {"name": "risk", "means": "Limits in rupees, as a person writes them.", "settings": [_SETTING]}
_SETTINGS = {"run_id": RUN, "config_hash": HASH, "in_force": HASH, "sections": [_RISK]}

_CHANGE = {"key": "risk.daily_loss_rupees", "before": 25_000, "after": 15_000}
_CONFIGURED = {
    "run_id": RUN, "how": "opened", "config_hash": HASH, "made": AT, "by": "asha@desk", "changes": [_CHANGE],
}  # fmt: skip

_DIFFERS = {"key": "alerts.quiet", "before": "", "after": "11:30-13:00", "taken": "now", "how": ""}
_SAYS = {"file": HASH, "whole": True, "code": True, "differences": [_DIFFERS]}


@read(
    "/config",
    operation_id="getConfig",
    summary="The configuration in force, key by key, with its source",
    answers=Settings,
    example=_SETTINGS,
    also=(503,),
)
async def config(services: NamedDependency[Services]) -> Settings:
    run, in_force = services.run, services.reloading.config
    found = await to_thread.run_sync(settings.sections, run, in_force)
    return Settings(run.run_id, run.config_hash, config_hash(in_force), found)


@read(
    "/config/history",
    operation_id="listConfigurations",
    summary="Who opened a run with which configuration, or had it read again, and what changed; newest first",
    answers=History,
    example=examples.page(_CONFIGURED),
    also=(404, 503),
)
async def history(services: NamedDependency[Services], limit: Limit = 20, cursor: Cursor = None) -> History:
    return History(*await config_history.history(services.record, limit, cursor))


@read(
    "/config/file",
    operation_id="getConfigFile",
    summary="What the configuration file says by now otherwise than it did, and what of that can be taken",
    answers=FileSays,
    example=_SAYS,
    also=(409, 422),
    guards=[owns],
)
async def file(services: NamedDependency[Services]) -> FileSays:
    """409 where the run was opened without a file, 422 where the file is no configuration."""
    says, found = await to_thread.run_sync(services.reloading.look)
    whole, code = all(each.taken for each in found), not all(each.narrows for each in found)
    return FileSays(config_hash(says), bool(found) and whole, code, [_differs(each) for each in found])


@act(
    "/config/reload",
    operation_id="reloadConfig",
    summary="Take what the configuration file says by now: all of it, or nothing",
    guards=[owns],
    also=(422,),
)
async def reload(
    request: ASKED, services: NamedDependency[Services], data: JSONBody[Reread], idempotency_key: Key = None
) -> Accepted:
    """Alerts and flags can be taken; 409 with every key where another differs.

    A flag that is switched off asks for no fresh one-time code, all else does.
    """
    user = request.user
    fresh = user.fresh(services.gate.now())
    asked = Asked(user.name, address(request), data.reason, data.seen, fresh)
    return await services.commands.once(
        user,
        idempotency_key,
        f"{reloading.COMMAND} {data.seen} {data.reason}",
        partial(services.reloading.make, asked),
    )


def _differs(found: Difference) -> Differs:
    key = found.key
    taken, how = ("now", "") if found.taken else ("next", settings.remedy(key))
    return Differs(key, settings.masked(key, found.before), settings.masked(key, found.after), taken, how)


ROUTES = (config, history, file, reload)
