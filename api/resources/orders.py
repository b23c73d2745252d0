"""GET orders, intents and fills: of the run from memory, of an earlier one from the book of record."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api import cursors, past_rows
from api.cursors import Cursor, Limit
from api.day_rows import fill_row, intent_row, order_row
from api.resources import examples
from api.resources.route import read
from api.rows import FillRow, IntentRow, OrderRow
from api.services import Services

RunId = Annotated[
    str | None,
    QueryParameter(
        name="run", max_length=64, description="An earlier run's id; without it the run that is up."
    ),
]
DEFAULT_ROWS = 100


class OrderPage(msgspec.Struct, frozen=True):
    """Newest first. `next` is null on the last page."""

    items: list[OrderRow]
    next: str | None


class IntentPage(msgspec.Struct, frozen=True):
    """Newest first. `next` is null on the last page."""

    items: list[IntentRow]
    next: str | None


class FillPage(msgspec.Struct, frozen=True):
    """Newest first. `next` is null on the last page."""

    items: list[FillRow]
    next: str | None


@read(
    "/orders",
    operation_id="listOrders",
    summary="Approved orders and what became of them, newest first",
    answers=OrderPage,
    example=examples.page(examples.ORDER),
    also=(404, 503),
)
async def orders(
    services: NamedDependency[Services],
    run_id: RunId = None,
    limit: Limit = DEFAULT_ROWS,
    cursor: Cursor = None,
) -> OrderPage:
    """All child orders of an intent together; one that has just been decided is `submitting`."""
    if run_id not in (None, services.run.run_id):
        return OrderPage(*await past_rows.orders(services.record, run_id, limit, cursor))
    day = services.day
    rows = day.intents.newest(cursors.before("orders", cursor))
    return OrderPage(
        *cursors.paged("orders", ((number, order_row(day, intent)) for number, intent in rows), limit)
    )


@read(
    "/intents",
    operation_id="listIntents",
    summary="Permissions to send an order, newest first",
    answers=IntentPage,
    example=examples.page(examples.INTENT),
    also=(404, 503),
)
async def intents(
    services: NamedDependency[Services],
    run_id: RunId = None,
    limit: Limit = DEFAULT_ROWS,
    cursor: Cursor = None,
) -> IntentPage:
    if run_id not in (None, services.run.run_id):
        return IntentPage(*await past_rows.intents(services.record, run_id, limit, cursor))
    rows = services.day.intents.newest(cursors.before("intents", cursor))
    return IntentPage(
        *cursors.paged("intents", ((number, intent_row(intent)) for number, intent in rows), limit)
    )


@read(
    "/fills",
    operation_id="listFills",
    summary="Trades of ours, newest first",
    answers=FillPage,
    example=examples.page(examples.FILL),
    also=(404, 503),
)
async def fills(
    services: NamedDependency[Services],
    run_id: RunId = None,
    limit: Limit = DEFAULT_ROWS,
    cursor: Cursor = None,
) -> FillPage:
    if run_id not in (None, services.run.run_id):
        return FillPage(*await past_rows.fills(services.record, run_id, limit, cursor))
    day = services.day
    rows = day.fills.newest(cursors.before("fills", cursor))
    return FillPage(*cursors.paged("fills", ((number, fill_row(day, fill)) for number, fill in rows), limit))


ROUTES = (orders, intents, fills)
