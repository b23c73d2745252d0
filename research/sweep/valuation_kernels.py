"""What the account has at risk and what the day has earned: `risk.exposure` compiled, to the paisa."""

from __future__ import annotations

from research.fills.in_bar import touch
from research.sweep import layout as at
from research.sweep.charge_units import brokerage_nano, charges_nano, to_paise
from research.sweep.compiled import kernel
from research.sweep.layout import Books, Ints, Rules

BPS = 10_000


@kernel
def share(value: int, bps: int) -> int:
    """So many basis points of an amount, rounded up."""
    return -(-value * bps // BPS)


@kernel
def touch_of(one: Ints, sign: int, tick: int, half_spread_bps: float) -> int:
    """The price on the other side; 0 without a last price."""
    if one[at.LAST] <= 0:
        return 0
    bid, ask = touch(one[at.LAST], half_spread_bps, tick)
    return ask if sign > 0 else bid


@kernel
def unrealised(one: Ints) -> int:
    """Of one instrument at its mark."""
    value = one[at.QUANTITY] * one[at.LAST]
    return int(value - one[at.COST] if one[at.QUANTITY] > 0 else value + one[at.COST])


@kernel
def value_account(books: Books, rules: Rules) -> None:
    """All positions at their marks: each is taken to leave in one order."""
    acct, value, units = books.acct, books.value, rules.units
    bought = sold = earned = 0
    fees = acct[at.BROKERAGE]
    for place in range(acct[at.HELD]):
        one = books.inst[books.held[place]]
        exposure = abs(one[at.QUANTITY]) * one[at.LAST]
        earned += unrealised(one)
        fees += brokerage_nano(units, exposure)
        if one[at.QUANTITY] > 0:
            sold += exposure
        else:
            bought += exposure
    value[at.V_EXPOSURE] = bought + sold
    value[at.V_UNREALISED] = earned
    value[at.V_NET] = sold - bought
    value[at.V_WORST_KNOWN] = 0
    day_bought, day_sold = acct[at.BOUGHT] + bought, acct[at.SOLD] + sold
    value[at.V_CLOSING] = to_paise(charges_nano(units, day_bought, day_sold, fees, acct[at.SQUARE_OFFS]))


@kernel
def _at_worst(one: Ints, limits: Ints, exposure: int, at_mark: int) -> int:
    """Unrealised once it has left at its stop, or at the mark where that is worse, with protection."""
    at_stop = -share(one[at.COST], one[at.STOP_BPS])
    if not one[at.STOP_BPS]:
        at_stop = at_mark - share(exposure, limits[at.L_BAND])
    return min(at_mark, at_stop) - share(exposure, limits[at.L_EXIT_PROTECTION])


@kernel
def value_at_worst(books: Books, rules: Rules) -> None:
    """What the day loses if every position runs to its stop, and the margin they hold; once a close."""
    acct, value, units, limits = books.acct, books.value, rules.units, rules.limits
    worst = bought = sold = asked = 0
    fees = acct[at.BROKERAGE]
    for place in range(acct[at.HELD]):
        one = books.inst[books.held[place]]
        exposure = abs(one[at.QUANTITY]) * one[at.LAST]
        at_mark = unrealised(one)
        at_worst = _at_worst(one, limits, exposure, at_mark)
        worst += at_worst
        asked += margin(limits, 1, one[at.COST])
        if one[at.QUANTITY] > 0:
            sold += exposure
        else:
            exposure += at_mark - at_worst  # a short leaves dearer
            bought += exposure
        fees += brokerage_nano(units, exposure)
    day_bought, day_sold = acct[at.BOUGHT] + bought, acct[at.SOLD] + sold
    charges = to_paise(charges_nano(units, day_bought, day_sold, fees, acct[at.SQUARE_OFFS]))
    value[at.V_AT_STOPS] = charges - acct[at.REALISED] - worst
    value[at.V_MARGIN] = asked
    value[at.V_WORST_KNOWN] = 1


@kernel
def loss(books: Books) -> int:
    """What the day would have lost if everything were closed at the marks; negative when it has earned."""
    value = books.value
    return int(value[at.V_CLOSING] - books.acct[at.REALISED] - value[at.V_UNREALISED])


@kernel
def watch(books: Books, limits: Ints) -> None:
    """The rules that end a day, at a mark: the loss cap and the drawdown."""
    acct = books.acct
    lost = loss(books)
    acct[at.PEAK] = max(acct[at.PEAK], -lost)
    closing = lost + share(books.value[at.V_EXPOSURE], limits[at.L_EXIT_PROTECTION])
    if not acct[at.DAILY_LOSS_STANDS] and closing >= limits[at.L_DAILY_LOSS]:
        acct[at.DAILY_LOSS_STANDS] = 1
        acct[at.TRADING] = max(acct[at.TRADING], at.REDUCING)
        acct[at.LEAVING] = acct[at.LEAVING] or at.DAILY_LOSS
    if not acct[at.DRAWDOWN_STANDS] and acct[at.PEAK] + lost >= limits[at.L_DRAWDOWN]:
        acct[at.DRAWDOWN_STANDS] = 1
        acct[at.TRADING] = max(acct[at.TRADING], at.REDUCING)
        acct[at.LEAVING] = acct[at.LEAVING] or at.DRAWDOWN


@kernel
def charges_of_day(acct: Ints, units: Ints) -> int:
    """Of all fills so far, rounded once."""
    return to_paise(
        charges_nano(units, acct[at.BOUGHT], acct[at.SOLD], acct[at.BROKERAGE], acct[at.SQUARE_OFFS])
    )


@kernel
def entry_price_loss(one: Ints, limits: Ints, sign: int, quantity: int, limit: int, stop_bps: int) -> int:
    """Filled at the limit, left at the stop (0: a price band away), with protection."""
    value, at_market = quantity * limit, quantity * one[at.LAST]
    at_mark = max(sign * (value - at_market), 0)
    at_stop = share(value, stop_bps or limits[at.L_BAND])
    return int(max(at_mark, at_stop) + share(max(value, at_market), limits[at.L_EXIT_PROTECTION]))


@kernel
def entry_fees(units: Ints, sign: int, value: int, lost: int) -> int:
    """Charges of an entry of that value and of its exit, which for a short may cost more by the loss."""
    leaving = value + (lost if sign < 0 else 0)
    bought, sold = (value, leaving) if sign > 0 else (leaving, value)
    brokerage = brokerage_nano(units, value) + brokerage_nano(units, leaving)
    return to_paise(charges_nano(units, bought, sold, brokerage, 0)) + 1


@kernel
def margin(limits: Ints, quantity: int, price: int) -> int:
    """What the broker blocks, rounded up."""
    return int(-(-quantity * price * limits[at.L_MARGIN_BPS] // BPS))
