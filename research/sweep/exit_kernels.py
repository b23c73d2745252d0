"""Exits as the risk fold decides them: `risk.exits` and `risk.ladder`, compiled."""

from __future__ import annotations

from research.sweep import layout as at
from research.sweep.compiled import kernel
from research.sweep.layout import Books, Ints, Rules
from research.sweep.valuation_kernels import share, touch_of, unrealised

BPS = 10_000
NS = 1_000_000_000
MINUTE_NS = 60 * NS
ASK_BROKER_AFTER, SLOW_AFTER, MAX_DOUBLINGS = 6, 20, 16  # risk.ladder


@kernel
def disarm(one: Ints) -> None:
    """No price makes it leave by itself."""
    one[at.BELOW_STOP] = one[at.BELOW_PROFIT] = at.NEVER_LOW
    one[at.ABOVE_STOP] = one[at.ABOVE_PROFIT] = at.NEVER_HIGH


@kernel
def send(one: Ints, row: int, books: Books, limits: Ints, now: int) -> None:
    """On its way, counted in its second, minute and day. The gateway's cut into children is not modelled."""
    acct = books.acct
    second, minute = now // NS, now // MINUTE_NS
    acct[at.IN_SECOND] = acct[at.IN_SECOND] + 1 if acct[at.SECOND] == second else 1
    acct[at.IN_MINUTE] = acct[at.IN_MINUTE] + 1 if acct[at.MINUTE] == minute else 1
    acct[at.IN_DAY] += 1
    acct[at.SECOND], acct[at.MINUTE] = second, minute
    limit, quantity = one[at.W_LIMIT], one[at.W_QUANTITY]
    if quantity > 1 and (
        quantity > limits[at.L_SLICE_QUANTITY] or quantity > max(limits[at.L_SLICE_VALUE] // limit, 1)
    ):
        acct[at.FLAW] = at.SLICED
    books.working[acct[at.WORKING]] = row
    acct[at.WORKING] += 1


@kernel
def _price_reason(one: Ints) -> int:
    profit = unrealised(one) * BPS
    if one[at.STOP_BPS] and profit <= -one[at.STOP_BPS] * one[at.COST]:
        return at.STOP
    if one[at.PROFIT_BPS] and profit >= one[at.PROFIT_BPS] * one[at.COST]:
        return at.TAKE_PROFIT
    return at.NO_REASON


@kernel
def _why_leave(one: Ints, of: Ints, acct: Ints, now: int) -> int:
    """The strongest standing reason."""
    if acct[at.LEAVING]:
        return int(acct[at.LEAVING])
    if now >= of[at.SQUARE_OFF_AT]:
        return at.SQUARE_OFF
    if one[at.EXIT_WANTED]:
        return int(one[at.EXIT_WANTED])
    if now >= one[at.LEAVE_AT]:
        return at.HORIZON
    return _price_reason(one)


@kernel
def _protection(limits: Ints, attempts: int, reason: int, must_be_flat: bool) -> int:
    """Of the rung after so many exits without a fill; 0 is a LIMIT at the touch."""
    if attempts >= ASK_BROKER_AFTER and attempts % 2:
        return 0
    if must_be_flat or attempts >= ASK_BROKER_AFTER:
        return int(limits[at.L_BAND])
    urgent = reason in (at.STOP, at.DAILY_LOSS, at.DRAWDOWN)
    climbed = attempts + (1 if urgent else 0)
    if climbed == 0:
        return 0
    doubled = limits[at.L_EXIT_PROTECTION] << min(climbed - 1, MAX_DOUBLINGS)
    return int(min(doubled, limits[at.L_BAND]))


@kernel
def _worst_price(one: Ints, sign: int, tick: int, protection: int, half_spread_bps: float) -> int:
    """A LIMIT counts from the touch, a MARKET from the last price; rounded outwards."""
    reference = one[at.LAST] if protection else touch_of(one, sign, tick, half_spread_bps)
    away = share(reference, protection)
    if sign > 0:
        return int((reference + away + tick - 1) // tick * tick)
    return int(max((reference - away) // tick * tick, tick))


@kernel
def _wait_s(attempts: int) -> int:
    if attempts <= ASK_BROKER_AFTER:
        return 1
    return 5 if attempts <= SLOW_AFTER else 15


@kernel
def leave(row: int, books: Books, rules: Rules, now: int) -> None:
    """At most one exit order for an open position, if a reason stands and none is on its way."""
    one, of = books.inst[row], rules.terms[row]
    if now >= of[at.CLOSE_AT]:
        books.acct[at.TRADING] = at.HALTED
        return
    one[at.EXIT_WANTED] = _why_leave(one, of, books.acct, now)
    if one[at.EXIT_WANTED] and now >= one[at.NEXT_AT] and not one[at.W_KIND]:
        _ask_out(row, books, rules, now)


@kernel
def _ask_out(row: int, books: Books, rules: Rules, now: int) -> None:
    """The exit order, on its way."""
    one, of = books.inst[row], rules.terms[row]
    sign, reason = -1 if one[at.QUANTITY] > 0 else 1, one[at.EXIT_WANTED]
    protection = _protection(rules.limits, one[at.ATTEMPTS], reason, now >= of[at.FLAT_AT])
    one[at.W_KIND], one[at.W_SIGN], one[at.W_QUANTITY] = at.EXIT, sign, abs(one[at.QUANTITY])
    one[at.W_LIMIT] = _worst_price(one, sign, of[at.TICK], protection, rules.half_spread_bps)
    one[at.W_DECISION], one[at.W_REASON] = one[at.LAST], reason
    one[at.ATTEMPTS] += 1
    one[at.NEXT_AT] = now + _wait_s(one[at.ATTEMPTS]) * NS
    disarm(one)
    send(one, row, books, rules.limits, now)


@kernel
def leave_due(books: Books, rules: Rules, now: int) -> None:
    """Exits that are due at a mark. Most positions have no reason to leave: those cost a look."""
    acct = books.acct
    for place in range(acct[at.HELD]):
        row = books.held[place]
        one, of = books.inst[row], rules.terms[row]
        if now >= of[at.CLOSE_AT] or _why_leave(one, of, acct, now):
            leave(row, books, rules, now)
