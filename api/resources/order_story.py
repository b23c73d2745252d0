"""GET orders/{id}: one order with its whole story, from the ticks before it to what it earned."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from anyio import CapacityLimiter, to_thread
from litestar.di import NamedDependency
from litestar.params import FromPath

from api import run_shelf
from api.day_rows import order_row
from api.problems import Problem
from api.resources import examples
from api.resources.examples import AT
from api.resources.orders import RunId
from api.resources.route import read
from api.rows import OrderRow
from api.services import Services
from api.times import Instant, instant
from kitepilot.audit.story import Story, tell
from kitepilot.audit.story_timeline import as_json, timeline
from kitepilot.ports import LogError

_READERS = CapacityLimiter(2)


class StoryMoment(msgspec.Struct, frozen=True):
    """One line of the timeline, by the session's clock and the machine's."""

    session: Instant
    machine: Instant
    what: str
    detail: str


class OrderStory(msgspec.Struct, frozen=True):
    """`order` is null for a wish that was refused, and for an order of an earlier run.

    `story` has everything as recorded, times in ns UTC: ticks, bar, signal, verdict with its checks, intent,
    journal, round trip. What could not be found is named in `missing`.
    """

    run_id: str
    read_from: str
    order: OrderRow | None
    timeline: list[StoryMoment]
    missing: list[str]
    story: dict[str, Any]


_EXAMPLE = {
    "run_id": examples.RUN, "read_from": "the event log", "order": examples.ORDER,
    "timeline": [{"session": AT, "machine": AT, "what": "verdict", "detail": "approved"}],
    "missing": ["bar: the topic bars does not hold it, or nothing traded in it"],
    "story": {"asked": "1261120417100000007"},
}  # fmt: skip


@read(
    "/orders/{name:str}",
    operation_id="getOrder",
    summary="One order and its whole story, also of a wish that was refused",
    answers=OrderStory,
    example=_EXAMPLE,
    also=(404, 503),
)
async def order(services: NamedDependency[Services], name: FromPath[str], run_id: RunId = None) -> OrderStory:
    """By the broker's order id, a tag, or the id of an intent, a verdict or a signal."""
    try:
        story = await to_thread.run_sync(_told, services, name, run_id, limiter=_READERS)
    except LogError as err:
        raise Problem("log_unreachable", "The records of that run cannot be read now.") from err
    if story is None:
        raise Problem("not_found", "No order, intent, tag, verdict or signal of that run has this id.")
    intent = services.day.intents.get(story.intent.intent_id) if story.intent else None
    return OrderStory(
        run_id=story.run_id,
        read_from=story.where,
        order=order_row(services.day, intent) if intent else None,
        timeline=[
            StoryMoment(instant(each.session_at), instant(each.machine_at), each.what, each.detail)
            for each in timeline(story)
        ],
        missing=story.missing,
        story=as_json(story),
    )


def _told(services: Services, name: str, run_id: str | None) -> Story | None:
    run = services.run
    running = run_id in (None, run.run_id)
    shelf = run_shelf.of_running(run, services.log) if running else run_shelf.of_kept(run.home, run_id or "")
    return tell(name, shelf, date.fromisoformat(shelf.session_date)) if shelf else None


ROUTES = (order,)
