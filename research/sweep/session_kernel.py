"""One session and one parameter set -> trades and the account: the exact engine's minute, step by step.

The order of events is that of docs/reference/backtest-fills.md.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from research.sweep import layout as at
from research.sweep.compiled import kernel
from research.sweep.entry_kernels import consider
from research.sweep.exit_kernels import MINUTE_NS, NS, disarm, leave, leave_due
from research.sweep.fill_kernels import broker_closes, meet
from research.sweep.layout import Books, Ints, Rules, Tape
from research.sweep.valuation_kernels import charges_of_day, value_account, watch

Marks = npt.NDArray[np.int8]
LEAVE = 2  # a mark of `strategies.over_session`
AT_OPEN = 1  # seconds into the minute: they say the order of events, no more
#: Steps inside a minute, by the second they are stamped with.
RETRY, RETRY_AGAIN, STOP, PROFIT, LATE, LATE_AGAIN = range(2, 8)


@kernel
def carry_forward(tape: Tape, close: Ints, present: npt.NDArray[np.bool_]) -> None:
    """Fill `tape.last` and `tape.quoted` from the bars."""
    for i in range(close.shape[0]):
        for row in range(close.shape[1]):
            if present[i, row]:
                tape.last[i, row] = close[i, row]
                tape.quoted[i, row] = tape.close_at[i]
            elif i:
                tape.last[i, row] = tape.last[i - 1, row]
                tape.quoted[i, row] = tape.quoted[i - 1, row]


@kernel
def trade_session(wishes: Marks, plan: Ints, tape: Tape, books: Books, rules: Rules) -> None:
    """Trade it. `wishes` int8[asked minutes, n]; `plan`: horizon_s, stop_bps, take_profit_bps of entries."""
    for row in range(books.inst.shape[0]):
        disarm(books.inst[row])
    acct = books.acct
    for place in range(tape.rows.shape[0]):
        i, asked = tape.rows[place], tape.asked[place]
        begins = tape.close_at[i] - MINUTE_NS
        if acct[at.WORKING]:
            meet(i, tape, books, rules, begins + AT_OPEN * NS)
        if asked < 0:
            continue
        if acct[at.HELD]:
            _broker(i, tape, books, rules, begins)
            _inside(i, tape, books, rules, begins)
        _close(i, asked, tape, books, rules)
        _hear(i, wishes[asked], plan, tape, books, rules)


@kernel
def _broker(i: int, tape: Tape, books: Books, rules: Rules, begins: int) -> None:
    """The broker's own square-off; the list of what is held shrinks behind `place`."""
    place = 0
    while place < books.acct[at.HELD]:
        row, before = books.held[place], books.acct[at.HELD]
        if begins >= rules.terms[row, at.BROKER_AT] and tape.tradable[i, row]:
            broker_closes(row, i, tape, books, rules, begins + AT_OPEN * NS)
        if books.acct[at.HELD] == before:
            place += 1


@kernel
def _inside(i: int, tape: Tape, books: Books, rules: Rules, begins: int) -> None:
    """Retries, stops, profits, and retries of those."""
    due = _due(i, tape, books)
    for step in range(RETRY, LATE_AGAIN + 1):
        if not due & 1 << step or not _prices(step, i, tape, books):
            continue
        if step in (STOP, PROFIT):
            due |= 1 << LATE
        elif step in (RETRY, LATE):
            due |= 1 << step + 1
        now = begins + step * NS
        for place in range(books.acct[at.HELD]):
            one = books.inst[books.held[place]]
            if one[at.REFERENCE]:
                one[at.LAST] = one[at.REFERENCE]
        _mark(books, rules, now)
        if books.acct[at.WORKING]:
            meet(i, tape, books, rules, now)
    for place in range(books.acct[at.HELD]):
        books.inst[books.held[place], at.REFERENCE] = 0  # what was not sent again waits for the next open


@kernel
def _due(i: int, tape: Tape, books: Books) -> int:
    """Which steps may have something to do, a bit each. Exits make it less, never more."""
    due = 0
    for place in range(books.acct[at.HELD]):
        row = books.held[place]
        one, high, low = books.inst[row], tape.high[i, row], tape.low[i, row]
        one[at.MET] = 0
        if one[at.EXIT_WANTED]:
            due |= 1 << RETRY
        if low <= one[at.BELOW_STOP] or high >= one[at.ABOVE_STOP]:
            due |= 1 << STOP
        if low <= one[at.BELOW_PROFIT] or high >= one[at.ABOVE_PROFIT]:
            due |= 1 << PROFIT
    return due


@kernel
def _prices(step: int, i: int, tape: Tape, books: Books) -> bool:
    """The prices that a step shows, into REFERENCE (0: none); whether there are any."""
    shown = False
    for place in range(books.acct[at.HELD]):
        row = books.held[place]
        one = books.inst[row]
        one[at.REFERENCE] = 0
        if step in (STOP, PROFIT):
            price = _trigger(one, step == PROFIT, tape.open[i, row], tape.high[i, row], tape.low[i, row])
            if price and tape.tradable[i, row]:
                one[at.MET] = one[at.REFERENCE] = price
                shown = True
        elif one[at.EXIT_WANTED] and not one[at.W_KIND] and tape.tradable[i, row]:
            one[at.REFERENCE] = one[at.MET] or tape.open[i, row]
            shown = True
    return shown


@kernel
def _trigger(one: Ints, profit: bool, opened: int, high: int, low: int) -> int:
    """The price at which a bar meets the stop (the profit) of a position; 0 where it does not."""
    below = one[at.BELOW_PROFIT] if profit else one[at.BELOW_STOP]
    above = one[at.ABOVE_PROFIT] if profit else one[at.ABOVE_STOP]
    if low > below and high < above:
        return 0
    price = below if below != at.NEVER_LOW else above
    past = opened >= price if price == above else opened <= price
    return int(opened if past else price)


@kernel
def _mark(books: Books, rules: Rules, now: int) -> None:
    """New prices are known: the rules, then the exits that are due."""
    books.acct[at.NOW] = now
    value_account(books, rules)
    watch(books, rules.limits)
    leave_due(books, rules, now)


@kernel
def _close(i: int, asked: int, tape: Tape, books: Books, rules: Rules) -> None:
    """The bar ends: prices of all, and the account as it stands."""
    acct, value, now = books.acct, books.value, tape.close_at[i]
    for place in range(acct[at.HELD]):
        row = books.held[place]
        books.inst[row, at.LAST] = tape.last[i, row]
    _mark(books, rules, now)
    gross = acct[at.REALISED] + value[at.V_UNREALISED]
    net = gross - charges_of_day(acct, rules.units)
    acct[at.HIGHEST] = max(acct[at.HIGHEST], net)
    acct[at.DEEPEST] = max(acct[at.DEEPEST], acct[at.HIGHEST] - net)
    if books.points.shape[0]:
        point = books.points[asked]
        point[at.P_AT], point[at.P_GROSS], point[at.P_NET] = now, gross, net
        point[at.P_EXPOSURE], point[at.P_POSITIONS] = value[at.V_EXPOSURE], acct[at.HELD]


@kernel
def _hear(i: int, wishes: Marks, plan: Ints, tape: Tape, books: Books, rules: Rules) -> None:
    """The strategy's wishes at this close, in the order of instruments."""
    now = tape.close_at[i]
    for row in range(wishes.shape[0]):
        side = wishes[row]
        if side == 0:
            continue
        one = books.inst[row]
        books.acct[at.SIGNALS] += 1
        if side != LEAVE:
            one[at.LAST] = tape.last[i, row]
            refused = consider(row, side, tape.quoted[i, row], plan, books, rules, now)
            books.refusals[refused] += 1
        elif one[at.QUANTITY]:
            one[at.EXIT_WANTED] = one[at.EXIT_WANTED] or at.SIGNAL
            leave(row, books, rules, now)
