"""POST halt, resume, flatten, trading/start and stop, strategies/{name}/enable and disable; GET commands.

What stops is always at hand: halt and flatten never ask for a fresh one-time code. What lets trading begin
again asks for the owner and for one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from api import problems
from api.commands import MAX_KEY, Accepted
from api.effects import Effect
from api.identity import Principal
from api.identity.guards import ALWAYS as AT_ANY_PACE
from api.identity.guards import fresh, operates, owns
from api.problems import Problem
from api.resources.examples import AT
from api.resources.route import ALWAYS, read
from api.services import Services
from api.times import Instant, instant

MAX_BYTES = 4_096
MAX_REASON = 200
ASKED = Request[Principal, Any, State]
Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=MAX_KEY,
        description="A word of yours: the same command under it is done once, and answered the same.",
    ),
]
_ACCEPTED = {"command_id": "api-5f1f0c2a9d3b4c5e6f708192", "through": "log"}


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is asked for; kept with the command."""

    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON)] = ""


class LastSeen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stood before whoever asks: `run_id` and `decided` of the stream's `state`."""

    run_id: str
    decided: int


class Again(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why trading may go on. `seen`: only if nothing has been decided since; 409 `moved_on` otherwise."""

    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON)] = ""
    seen: LastSeen | None = None


class Flatten(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`now`: through the watchdog at once, past the decisions."""

    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON)] = ""
    now: bool = False


class CommandRow(msgspec.Struct, frozen=True):
    """One command and its effect.

    `state`: said (in the log) | decided (who must do it have) | refused (they say why). `flat` is when
    the account was first seen without positions and working orders after that.
    """

    command_id: str
    command: str
    argument: str
    by: str
    state: str
    words: list[str]
    said: Instant
    decided: Instant
    flat: Instant


class CommandList(msgspec.Struct, frozen=True):
    """Newest first."""

    items: list[CommandRow]


_ROW = {
    "command_id": "api-5f1f0c2a9d3b4c5e6f708192", "command": "flatten", "argument": "", "by": "asha: lunch",
    "state": "decided", "words": ["flatten by asha: lunch"], "said": AT, "decided": AT, "flat": AT,
}  # fmt: skip


def act(
    path: str,
    *,
    operation_id: str,
    summary: str,
    guards: list[Any],
    also: tuple[int, ...] = (),
    opt: dict[str, bool] | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """A POST that is answered with the command's id."""
    shown = ResponseSpec(
        Accepted, generate_examples=False, description="Said", examples=[Example(value=_ACCEPTED)]
    )
    return post(
        path,
        operation_id=operation_id,
        summary=summary,
        status_code=202,
        guards=guards,
        opt=opt,
        request_max_body_size=MAX_BYTES,
        responses={202: shown, **problems.declared(*ALWAYS, 409, 413, 503, *also)},
    )


@act(
    "/halt",
    operation_id="halt",
    summary="Open nothing more, until the owner resumes",
    guards=[operates],
    opt=AT_ANY_PACE,
)
async def halt(
    request: ASKED, services: NamedDependency[Services], data: JSONBody[Why], idempotency_key: Key = None
) -> Accepted:
    """What is held keeps its exits."""
    return await services.commands.give("halt", request.user, idempotency_key, reason=data.reason)


@act(
    "/flatten",
    operation_id="flatten",
    summary="Close everything, and open nothing until the owner resumes",
    guards=[operates],
    opt=AT_ANY_PACE,
)
async def flatten(
    request: ASKED, services: NamedDependency[Services], data: JSONBody[Flatten], idempotency_key: Key = None
) -> Accepted:
    """Through the decisions; through the watchdog when `now`, or when the log does not take it."""
    return await services.commands.give(
        "flatten", request.user, idempotency_key, reason=data.reason, now=data.now
    )


@act(
    "/trading/stop",
    operation_id="stopTrading",
    summary="Open no new positions; what is held leaves by its own plan",
    guards=[operates],
    opt=AT_ANY_PACE,
)
async def stop(
    request: ASKED, services: NamedDependency[Services], data: JSONBody[Why], idempotency_key: Key = None
) -> Accepted:
    """The state becomes reducing. The processes stay up: `kitepilot down` stops them."""
    return await services.commands.give("reduce", request.user, idempotency_key, reason=data.reason)


@act(
    "/trading/start",
    operation_id="startTrading",
    summary="Trade again: the same word as resume",
    guards=[owns, fresh],
)
async def start(
    request: ASKED, services: NamedDependency[Services], data: JSONBody[Again], idempotency_key: Key = None
) -> Accepted:
    """The processes must be up: `kitepilot up` starts them."""
    _require_flag(services)
    return await services.commands.give(
        "resume",
        request.user,
        idempotency_key,
        reason=data.reason,
        unless=partial(_require_seen, services, data.seen),
    )


@act("/resume", operation_id="resume", summary="Trade again after a halt or a flatten", guards=[owns, fresh])
async def resume(
    request: ASKED, services: NamedDependency[Services], data: JSONBody[Again], idempotency_key: Key = None
) -> Accepted:
    """409 while the watchdog's fence stands: `kitepilot resume` lowers it over a flat account."""
    _require_flag(services)
    return await services.commands.give(
        "resume",
        request.user,
        idempotency_key,
        reason=data.reason,
        unless=partial(_require_seen, services, data.seen),
    )


@act(
    "/strategies/{name:str}/enable",
    operation_id="enableStrategy",
    summary="Let a strategy of the run open positions again",
    guards=[owns, fresh],
    also=(404,),
)
async def enable(
    request: ASKED,
    services: NamedDependency[Services],
    name: FromPath[str],
    data: JSONBody[Again],
    idempotency_key: Key = None,
) -> Accepted:
    _require_strategy(services, name)
    return await services.commands.give(
        "strategy_enable",
        request.user,
        idempotency_key,
        reason=data.reason,
        unless=partial(_require_seen, services, data.seen),
        argument=name,
    )


@act(
    "/strategies/{name:str}/disable",
    operation_id="disableStrategy",
    summary="Let a strategy open nothing more; its positions keep their exits",
    guards=[operates],
    also=(404,),
)
async def disable(
    request: ASKED,
    services: NamedDependency[Services],
    name: FromPath[str],
    data: JSONBody[Why],
    idempotency_key: Key = None,
) -> Accepted:
    _require_strategy(services, name)
    return await services.commands.give(
        "strategy_disable", request.user, idempotency_key, reason=data.reason, argument=name
    )


@read(
    "/commands",
    operation_id="listCommands",
    summary="Commands of the run, whoever gave them, newest first",
    answers=CommandList,
    example={"items": [_ROW]},
)
async def commands(
    services: NamedDependency[Services], limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100
) -> CommandList:
    return CommandList([_row(services, each) for each in services.effects.newest(limit)])


@read(
    "/commands/{command_id:str}",
    operation_id="getCommand",
    summary="What became of a command",
    answers=CommandRow,
    example=_ROW,
    also=(404,),
)
async def command(services: NamedDependency[Services], command_id: FromPath[str]) -> CommandRow:
    """404 until it has been read from the log, some tenths of a second after it was said."""
    effect = services.effects.get(command_id)
    if effect is None:
        raise Problem("not_found", "No such command in this run's log, or not yet.")
    return _row(services, effect)


def _row(services: Services, effect: Effect) -> CommandRow:
    return CommandRow(
        command_id=effect.command_id,
        command=effect.command,
        argument=effect.argument,
        by=effect.by,
        state=services.effects.state(effect),
        words=list(effect.words),
        said=instant(effect.said_at),
        decided=instant(effect.decided_at),
        flat=instant(effect.flat_at),
    )


def _require_seen(services: Services, seen: LastSeen | None) -> None:
    """A code takes a while to type, a page may be of yesterday: nobody resumes what he has not looked at."""
    if seen is None:
        return
    if seen.run_id != services.run.run_id:
        raise Problem("moved_on", f"This is run {services.run.run_id} now: look at it first.")
    if seen.decided != services.hub.board.last_word:
        raise Problem("moved_on", "The decisions have said something since that page was drawn: look again.")


def _require_flag(services: Services) -> None:
    if not services.reloading.flags.resume_by_api:
        raise Problem(
            "conflict", "flags.resume_by_api is off in this run: `kitepilot resume` at the machine."
        )


def _require_strategy(services: Services, name: str) -> None:
    known = services.run.config.strategies.enabled
    if name not in known:
        raise Problem("not_found", f"Not a strategy of this run: {', '.join(known)} are.")


ROUTES = (halt, flatten, stop, start, resume, enable, disable, commands, command)
