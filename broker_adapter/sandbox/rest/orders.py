"""Orders and trades: place, modify, cancel, the day's book, one order's history."""

from __future__ import annotations

from typing import cast

from litestar import delete, get, post, put

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.admission import not_found
from broker_adapter.sandbox.orders import ON_TIME, Handling
from broker_adapter.sandbox.rest.desk import HANDLING, Call, Reply, desk_of, form_of, success


@post("/orders/{variety:str}", status_code=200, opt={"scope": "placement"})
async def place(request: Call) -> Reply:
    desk, form = desk_of(request), await form_of(request)
    handling = cast(Handling, request.scope.get(HANDLING, ON_TIME))
    placed = desk.exchange.place(request.path_params["variety"], form, desk.clock.now(), handling)
    legs = int(form["iceberg_legs"]) if request.path_params["variety"] == "iceberg" else 1
    desk.limiter.count_more(max(legs, len(placed.children)) - 1)
    await desk.settled()
    if not placed.children:
        return success({"order_id": placed.order_id})
    children = [rows.child_row(child) for child in placed.children]
    return success({"order_id": placed.order_id, "children": children})


@put("/orders/{variety:str}/{order_id:str}", opt={"scope": "order"})
async def modify(request: Call) -> Reply:
    desk, form = desk_of(request), await form_of(request)
    order_id = desk.exchange.modify(request.path_params["order_id"], form, desk.clock.now())
    await desk.settled()
    return success({"order_id": order_id})


@delete("/orders/{variety:str}/{order_id:str}", status_code=200, opt={"scope": "order"})
async def cancel(request: Call) -> Reply:
    desk = desk_of(request)
    order_id = desk.exchange.cancel(request.path_params["order_id"], desk.clock.now())
    await desk.settled()
    return success({"order_id": order_id})


@get("/orders")
async def orders(request: Call) -> Reply:
    return success([rows.order_row(order) for order in desk_of(request).exchange.book.orders.values()])


@get("/orders/{order_id:str}")
async def order_history(request: Call) -> Reply:
    order_id = request.path_params["order_id"]
    history = desk_of(request).exchange.book.histories.get(order_id)
    if history is None:
        raise not_found(order_id)
    return success([rows.order_row(order) for order in history])


@get("/orders/{order_id:str}/trades")
async def order_trades(request: Call) -> Reply:
    order_id = request.path_params["order_id"]
    book = desk_of(request).exchange.book
    if order_id not in book.orders:
        raise not_found(order_id)
    return success([rows.trade_row(trade) for trade in book.trades_of(order_id)])


@get("/trades")
async def trades(request: Call) -> Reply:
    return success([rows.trade_row(trade) for trade in desk_of(request).exchange.book.trades])


PRIVATE = (place, modify, cancel, orders, order_history, order_trades, trades)
