"""GET signals: what the strategies wished for today, and what risk said of it."""

from __future__ import annotations

import msgspec
from litestar.di import NamedDependency

from api import cursors
from api.cursors import Cursor, Limit
from api.day_rows import signal_row
from api.resources import examples
from api.resources.route import read
from api.rows import SignalRow
from api.services import Services


class SignalPage(msgspec.Struct, frozen=True):
    """Newest first. `next` is null on the last page."""

    items: list[SignalRow]
    next: str | None


@read(
    "/signals",
    operation_id="listSignals",
    summary="Wishes of the strategies and the verdict on each, newest first",
    answers=SignalPage,
    example=examples.page(examples.SIGNAL),
    also=(404,),
)
async def signals(
    services: NamedDependency[Services], limit: Limit = 100, cursor: Cursor = None
) -> SignalPage:
    """The last two thousand of the run; earlier ones are in the book of analysis."""
    day, run_id = services.day, services.run.run_id
    rows = day.signals.newest(cursors.before("signals", cursor))
    return SignalPage(
        *cursors.paged("signals", ((number, signal_row(day, each, run_id)) for number, each in rows), limit)
    )


ROUTES = (signals,)
