"""What was asked of the exchange, as it is recorded: enough to ask again. All times are session ns UTC."""

from __future__ import annotations

import msgspec

from broker_adapter.sandbox.orders import ON_TIME, Handling


class PlaceAsked(msgspec.Struct, frozen=True, tag="place"):
    """`played`: how far the market had been played when the request was taken; `order_id`: what it became."""

    played: int
    at: int
    variety: str
    form: dict[str, str]
    handling: Handling = ON_TIME
    order_id: str = ""


class ModifyAsked(msgspec.Struct, frozen=True, tag="modify"):
    """A change, as its form."""

    played: int
    at: int
    order_id: str
    form: dict[str, str]


class CancelAsked(msgspec.Struct, frozen=True, tag="cancel"):
    """A cancellation."""

    played: int
    at: int
    order_id: str


Asked = PlaceAsked | ModifyAsked | CancelAsked
