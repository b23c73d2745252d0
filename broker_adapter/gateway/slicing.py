"""An approved intent -> the child orders it is sent as, or why it is not sent. Pure.

An order above the exchange's freeze quantity is refused whole, and a large one shows its size to everybody,
so an order above a cap is cut into children of nearly the same size. We cut ourselves: the broker's own
slicing gives its children no tags of ours, and a child without a tag cannot be found when its reply is lost.
"""

from __future__ import annotations

from kitepilot.config import BrokerSection
from kitepilot.events import ApprovedIntent, Purpose, RiskLimits
from kitepilot.ports import Rejected

MAX_CHILDREN = 99  # two digits of the tag name the child
GATEWAY_LIMIT = "gateway_limit"  # the code of what the second look refuses
LOT = 1  # cash shares trade in ones: `kitepilot.market.instruments` admits nothing else


def cut(quantity: int, most: int, lot: int = LOT) -> tuple[int, ...]:
    """`quantity` shares in children of at most `most`, in whole lots, none larger than another by over a lot.

    What is no whole lot travels with the last child. More than `MAX_CHILDREN` are never made: the children
    are larger then.
    """
    lots, odd = divmod(quantity, lot)
    if lots <= 1:
        return (quantity,)
    room = max((most - odd) // lot, 1)
    count = min(-(-lots // room), MAX_CHILDREN)
    each, more = divmod(lots, count)
    sizes = [(each + (number < more)) * lot for number in range(count)]
    sizes[-1] += odd
    return tuple(sizes)


def children(intent: ApprovedIntent, broker: BrokerSection) -> tuple[int, ...]:
    """The quantities of the child orders of one intent, in the order they are sent."""
    price = intent.limit_price_paise or intent.decision_price_paise
    by_value = broker.slice_value_rupees * 100 // price if price > 0 else intent.quantity
    return cut(intent.quantity, max(min(by_value, broker.freeze_quantity), 1))


def refusal(intent: ApprovedIntent, limits: RiskLimits, broker: BrokerSection) -> Rejected | None:
    """The second look at the hard limits, on another path than the risk fold's; past one, the fold erred.

    Exits are held to what can be sent at all, and at the market to the price band. A limit exit has no price
    it is refused for.
    """
    if intent.quantity > broker.freeze_quantity * MAX_CHILDREN:
        return _refused(f"quantity {intent.quantity} above {MAX_CHILDREN} freeze quantities")
    if intent.protection_bps > limits.price_band_bps:
        # Not narrowed to the band: the ladder ends there, so a number past it was made or changed by
        # something else, and side and quantity cannot be trusted either. A refusal is told as the order's
        # end: it frees the shares for the fold's next try a second later, at its own width, and after six
        # tries every other one is a limit. A dead letter would not do: no end is told of it, and the fold
        # would wait for one.
        return _refused(f"protection {intent.protection_bps} bps above {limits.price_band_bps}")
    if intent.purpose is not Purpose.ENTRY:
        return None
    value = intent.quantity * intent.limit_price_paise
    if intent.quantity > limits.order_quantity:
        return _refused(f"quantity {intent.quantity} above {limits.order_quantity}")
    if value > limits.order_value_paise:
        return _refused(f"value {value} paise above {limits.order_value_paise}")
    return None


def _refused(why: str) -> Rejected:
    return Rejected(GATEWAY_LIMIT, why)
