"""Orders that meet a bar -> fills, positions, round trips: `orders.positions`, `risk.account`, compiled."""

from __future__ import annotations

from research.fills.in_bar import arriving, profit_price, stop_price
from research.sweep import layout as at
from research.sweep.charge_units import NANO, brokerage_nano, charges_nano
from research.sweep.compiled import kernel
from research.sweep.exit_kernels import NS, disarm
from research.sweep.layout import Books, Ints, Rules, Tape


@kernel
def _arm(one: Ints, tick: int) -> None:
    """The prices at which a new position leaves by itself."""
    disarm(one)
    held, cost = one[at.QUANTITY], one[at.COST]
    if one[at.STOP_BPS]:
        place = at.BELOW_STOP if held > 0 else at.ABOVE_STOP
        one[place] = stop_price(held, cost, one[at.STOP_BPS], tick)
    if one[at.PROFIT_BPS]:
        place = at.ABOVE_PROFIT if held > 0 else at.BELOW_PROFIT
        one[place] = profit_price(held, cost, one[at.PROFIT_BPS], tick)


@kernel
def _forget(books: Books, row: int) -> None:
    """Out of the list of what is held, the others in their order."""
    held, acct = books.held, books.acct
    place = 0
    while held[place] != row:
        place += 1
    acct[at.HELD] -= 1
    for after in range(place, acct[at.HELD]):
        held[after] = held[after + 1]


@kernel
def _record(one: Ints, row: int, books: Books, reason: int, when: int) -> None:
    """A round trip is over."""
    place = books.acct[at.CLOSED]
    books.acct[at.CLOSED] += 1
    if place >= books.trips.shape[0]:
        books.acct[at.FLAW] = at.TOO_MANY_TRADES
        return
    made, buying = books.trips[place], one[at.T_SIGN] > 0
    made[at.R_ROW], made[at.R_SIGN], made[at.R_SHARES] = row, one[at.T_SIGN], one[at.T_SHARES]
    made[at.R_OPENED], made[at.R_CLOSED] = one[at.T_OPENED], when
    made[at.R_ENTRY] = one[at.T_BOUGHT] if buying else one[at.T_SOLD]
    made[at.R_EXIT] = made[at.R_PAID_EXIT] = one[at.T_SOLD] if buying else one[at.T_BOUGHT]
    made[at.R_GROSS], made[at.R_BROKERAGE] = one[at.T_REALISED], one[at.T_BROKERAGE]
    made[at.R_SQUARE_OFFS], made[at.R_SLIPPAGE] = one[at.T_SQUARE_OFFS], one[at.T_SLIPPAGE]
    made[at.R_REASON] = reason


@kernel
def _judge_trade(one: Ints, acct: Ints, rules: Rules) -> None:
    """The streak of losers: a trade lost when it earned less than the charges of its own fills."""
    limits = rules.limits
    paid = charges_nano(
        rules.units, one[at.T_BOUGHT], one[at.T_SOLD], one[at.T_BROKERAGE], one[at.T_SQUARE_OFFS]
    )
    if one[at.T_REALISED] * NANO >= paid:
        acct[at.STREAK] = 0
    elif acct[at.STREAK] + 1 < limits[at.L_STREAK]:
        acct[at.STREAK] += 1
    else:
        acct[at.STREAK] = 0
        acct[at.PAUSED_UNTIL] = acct[at.NOW] + limits[at.L_PAUSE_S] * NS


@kernel
def _book(one: Ints, acct: Ints, units: Ints, sign: int, value: int, before: int) -> None:
    """The money of a fill: the day's ledger and the trip's. `before`: the order's earlier fills, paise."""
    more = brokerage_nano(units, before + value) - brokerage_nano(units, before)
    acct[at.BROKERAGE] += more
    one[at.T_BROKERAGE] += more
    if sign > 0:
        acct[at.BOUGHT] += value
        one[at.T_BOUGHT] += value
    else:
        acct[at.SOLD] += value
        one[at.T_SOLD] += value


@kernel
def _enter(row: int, books: Books, rules: Rules, shares: int, price: int, when: int) -> None:
    one, acct, sign = books.inst[row], books.acct, books.inst[row, at.W_SIGN]
    one[at.T_BOUGHT] = one[at.T_SOLD] = one[at.T_BROKERAGE] = 0
    one[at.T_SQUARE_OFFS] = one[at.T_REALISED] = 0
    one[at.T_OPENED], one[at.T_SIGN], one[at.T_SHARES] = when, sign, shares
    one[at.T_SLIPPAGE] = sign * (price - one[at.W_DECISION]) * shares
    one[at.QUANTITY], one[at.COST] = sign * shares, shares * price
    one[at.EXIT_WANTED], one[at.ATTEMPTS], one[at.NEXT_AT] = at.NO_REASON, 0, 0
    one[at.LEAVE_AT] = one[at.W_LEAVE_AT]
    _book(one, acct, rules.units, sign, shares * price, 0)
    books.held[acct[at.HELD]] = row
    acct[at.HELD] += 1
    _arm(one, rules.terms[row, at.TICK])


@kernel
def _reduce(
    row: int,
    books: Books,
    rules: Rules,
    sign: int,
    shares: int,
    price: int,
    decision: int,
    before: int,
    reason: int,
    when: int,
) -> None:
    """Close part of a position, or all of it."""
    one, acct = books.inst[row], books.acct
    released = one[at.COST] * shares // abs(one[at.QUANTITY])
    proceeds = shares * price
    profit = released - proceeds if sign > 0 else proceeds - released
    one[at.QUANTITY] += sign * shares
    one[at.COST] -= released
    one[at.T_REALISED] += profit
    acct[at.REALISED] += profit
    one[at.T_SLIPPAGE] += sign * (price - decision) * shares
    _book(one, acct, rules.units, sign, proceeds, before)
    if one[at.QUANTITY] == 0:
        _judge_trade(one, acct, rules)
        _record(one, row, books, reason, when)
        _forget(books, row)
        disarm(one)


@kernel
def _taken(
    row: int, i: int, tape: Tape, books: Books, rules: Rules, sign: int, quantity: int, limit: int, price: int
) -> tuple[int, int]:
    """(price, shares) of an order that arrives at `price`; its shares are taken from the bar."""
    one, of = books.inst[row], rules.terms[row]
    low, high, tick = tape.low[i, row], tape.high[i, row], of[at.TICK]
    if tape.locked[i, row] == sign:
        return 0, 0
    taken = one[at.TAKEN] if one[at.TAKEN_IN] == i + 1 else 0
    paid, shares = arriving(
        sign,
        quantity,
        limit,
        price,
        low,
        high,
        tick,
        tape.volume[i, row],
        taken,
        rules.half_spread_bps,
        rules.impact_bps,
        rules.limits[at.L_PARTICIPATION],
    )
    one[at.TAKEN], one[at.TAKEN_IN] = taken + shares, i + 1
    return paid, shares


@kernel
def meet(i: int, tape: Tape, books: Books, rules: Rules, when: int) -> None:
    """Orders on their way arrive at the open, or at their row's REFERENCE; all are IOC, over afterwards."""
    acct = books.acct
    for place in range(acct[at.WORKING]):
        row = books.working[place]
        one = books.inst[row]
        kind, sign, reference = one[at.W_KIND], one[at.W_SIGN], one[at.REFERENCE] or tape.open[i, row]
        one[at.W_KIND] = one[at.REFERENCE] = 0
        if not tape.tradable[i, row]:
            continue
        price, shares = _taken(
            row, i, tape, books, rules, sign, one[at.W_QUANTITY], one[at.W_LIMIT], reference
        )
        if shares and kind == at.ENTRY:
            _enter(row, books, rules, shares, price, when)
        elif shares:
            decision, reason = one[at.W_DECISION], one[at.W_REASON]
            _reduce(row, books, rules, sign, shares, price, decision, 0, reason, when)
            one[at.ATTEMPTS], one[at.NEXT_AT] = 0, 0  # somebody trades: again from close to the touch
    acct[at.WORKING] = acct[at.ENTRIES] = 0
    acct[at.ENTERING] = acct[at.ENTERING_BUY] = acct[at.ENTERING_SELL] = 0
    acct[at.ENTERING_WORST] = acct[at.ENTERING_MARGIN] = 0


@kernel
def broker_closes(row: int, i: int, tape: Tape, books: Books, rules: Rules, when: int) -> None:
    """Past its own time the broker closes what is open, for its fee, as far as the bar lets it."""
    one, acct = books.inst[row], books.acct
    sign = -1 if one[at.QUANTITY] > 0 else 1
    price, shares = _taken(row, i, tape, books, rules, sign, abs(one[at.QUANTITY]), 0, tape.open[i, row])
    if not shares:
        return
    before = one[at.BROKER_PAID]
    if not before:
        acct[at.SQUARE_OFFS] += 1
        one[at.T_SQUARE_OFFS] += 1
    one[at.BROKER_PAID] = before + shares * price
    disarm(one)
    _reduce(row, books, rules, sign, shares, price, one[at.LAST], before, at.BROKER, when)
