"""Order margins, basket margins and the virtual contract note."""

from __future__ import annotations

from litestar import post

from broker_adapter.sandbox.calculators import Imagined, MarginDesk, compact, contract_note_row, imagined
from broker_adapter.sandbox.rest.desk import Call, Reply, desk_of, items_of, success


@post("/margins/orders", status_code=200)
async def order_margins(request: Call) -> Reply:
    margins, orders = _margins(request), await _imagined(request, "price")
    lines = [margins.order_row(order) for order in orders]
    return success([compact(line) for line in lines] if _compact(request) else lines)


@post("/margins/basket", status_code=200)
async def basket_margins(request: Call) -> Reply:
    considered = request.query_params.get("consider_positions", "true").lower() in ("true", "1")
    orders = await _imagined(request, "price")
    basket = _margins(request).basket_rows(orders, consider_positions=considered)
    if _compact(request):
        lines = [compact(line) for line in basket["orders"]]
        basket |= {"initial": compact(basket["initial"]), "final": compact(basket["final"]), "orders": lines}
    return success(basket)


@post("/charges/orders", status_code=200)
async def contract_note(request: Call) -> Reply:
    exchange = desk_of(request).exchange
    orders = await _imagined(request, "average_price")
    return success([contract_note_row(order, exchange.book, exchange.session.date) for order in orders])


PRIVATE = (order_margins, basket_margins, contract_note)


async def _imagined(request: Call, price: str) -> list[Imagined]:
    instruments = desk_of(request).exchange.market.by_symbol
    return [imagined(item, instruments, price) for item in await items_of(request)]


def _margins(request: Call) -> MarginDesk:
    exchange = desk_of(request).exchange
    return MarginDesk(exchange.rms, exchange.book, exchange.market.last_paise, exchange.session.date)


def _compact(request: Call) -> bool:
    return request.query_params.get("mode") == "compact"
