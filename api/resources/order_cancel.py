"""POST orders/{id}/cancel: refused, with the reason, for every order that can be.

Every order of ours is immediate-or-cancel: the exchange fills it or ends it by itself, in the same instant,
and nothing rests in its book. What is still on its way has no order id to cancel by, or an outcome that is
unknown yet, which the gateway finds out. An exit would be refused in any case: no way out is taken away.
"""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.commands import Accepted
from api.day_rows import order_row
from api.identity.guards import operates
from api.problems import Problem
from api.resources.trading import ASKED, Key, Why, act
from api.services import Services
from kitepilot import events as e


@act(
    "/orders/{name:str}/cancel",
    operation_id="cancelOrder",
    summary="Says why the order cannot be cancelled: none of ours rests at the exchange",
    guards=[operates],
    also=(404,),
)
async def cancel(
    request: ASKED,
    services: NamedDependency[Services],
    name: FromPath[str],
    data: JSONBody[Why],
    idempotency_key: Key = None,
) -> Accepted:
    """`name`: its intent's id or the broker's order id."""
    del request, data, idempotency_key
    intent = services.day.intent_of(name)
    if intent is None:
        raise Problem("not_found", "No such order in the run that is up.")
    raise Problem("conflict", refusal(intent, e.OrderStatus(order_row(services.day, intent).status)))


def refusal(intent: e.ApprovedIntent, status: e.OrderStatus) -> str:
    """Why this one is not cancelled, and what can be done instead."""
    if status.terminal:
        return f"The order has ended: {status.value}."
    if intent.purpose is not e.Purpose.ENTRY:
        return "The order is an exit: it closes a position, and no exit is taken back."
    return (
        "The order is immediate-or-cancel: the exchange fills it or ends it by itself, and nothing rests to "
        "be cancelled. Disable the strategy to end its entries; flatten closes what is held."
    )


ROUTES = (cancel,)
