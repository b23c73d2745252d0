"""Entries as the risk fold judges them: `risk.entries`, `risk.sizing` and `risk.checks`, compiled."""

from __future__ import annotations

from research.sweep import layout as at
from research.sweep.charge_units import brokerage_nano, charges_nano, to_paise
from research.sweep.compiled import kernel
from research.sweep.exit_kernels import BPS, MINUTE_NS, NS, send
from research.sweep.layout import DENIALS, Books, Ints, Rules
from research.sweep.valuation_kernels import (
    entry_fees,
    entry_price_loss,
    loss,
    margin,
    share,
    touch_of,
    value_at_worst,
)

HALTED_AFTER_NS = 60 * NS  # risk.checks.quote.HALTED_AFTER_S

D_TRADING_STATE = DENIALS.index("trading_state")
D_CUTOFF = DENIALS.index("entry_cutoff")
D_NO_QUOTE = DENIALS.index("no_quote")
D_HALTED = DENIALS.index("instrument_halted")
D_STALE = DENIALS.index("stale_quote")
D_SPREAD = DENIALS.index("wide_spread")
D_BAND = DENIALS.index("price_band")
D_WORKING = DENIALS.index("order_working")
D_POSITION = DENIALS.index("position_open")
D_SIZE = DENIALS.index("order_size")
D_OPEN = DENIALS.index("open_positions")
D_INSTRUMENT = DENIALS.index("instrument_exposure")
D_SECTOR = DENIALS.index("sector_exposure")
D_GROSS = DENIALS.index("gross_exposure")
D_NET = DENIALS.index("net_exposure")
D_MARGIN = DENIALS.index("margin")
D_SECOND = DENIALS.index("orders_per_second")
D_MINUTE = DENIALS.index("orders_per_minute")
D_DAY = DENIALS.index("orders_per_day")
D_TRADES = DENIALS.index("trades_per_day")
D_TRADES_ON = DENIALS.index("trades_per_instrument")
D_STREAK = DENIALS.index("loss_streak")
D_DRAWDOWN = DENIALS.index("drawdown")
D_DAILY_LOSS = DENIALS.index("daily_loss")


@kernel
def _limit_price(touch: int, sign: int, tick: int, limits: Ints) -> int:
    """The touch plus protection, on the grid and never further out."""
    protection = touch * limits[at.L_ENTRY_PROTECTION] // BPS
    if sign > 0:
        return int((touch + protection) // tick * tick)
    return int((touch - protection + tick - 1) // tick * tick)


@kernel
def _trade_risk(value: int, stop_bps: int, limits: Ints, units: Ints) -> int:
    """Loss at the stop, rounded up, and the charges of both sides at the entry's value."""
    both = charges_nano(units, value, value, 2 * brokerage_nano(units, value), 0)
    return share(value, stop_bps or limits[at.L_BAND]) + to_paise(both)


@kernel
def _wanted(price: int, distance_bps: int, limits: Ints) -> int:
    if limits[at.L_SIZING] == at.BY_SHARES:
        return int(limits[at.L_SIZE])
    if limits[at.L_SIZING] == at.BY_NOTIONAL:
        return int(limits[at.L_SIZE] // price)
    return int(limits[at.L_SIZE] * BPS // (price * distance_bps))


@kernel
def _shares(price: int, stop_bps: int, limits: Ints, units: Ints, room: int) -> int:
    """What the sizing wants, cut to what no limit on size refuses."""
    distance = stop_bps or limits[at.L_BAND]
    most = min(_wanted(price, distance, limits), limits[at.L_ORDER_QUANTITY])
    most = min(most, limits[at.L_ORDER_VALUE] // price)
    if limits[at.L_MARGIN_BPS]:
        most = min(most, max(room, 0) * BPS // (price * limits[at.L_MARGIN_BPS]))
    most = max(min(most, limits[at.L_TRADE_RISK] * BPS // (price * distance)), 0)
    if _trade_risk(most * price, stop_bps, limits, units) <= limits[at.L_TRADE_RISK]:
        return int(most)
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        if _trade_risk(middle * price, stop_bps, limits, units) <= limits[at.L_TRADE_RISK]:
            low = middle
        else:
            high = middle
    return int(low)


@kernel
def _refused_at_sight(one: Ints, of: Ints, quoted_at: int, acct: Ints, limits: Ints, now: int) -> int:
    """The checks before any price: the code of the first that fails, 0 for none."""
    if acct[at.TRADING] != at.ACTIVE or of[at.MAY_ENTER] == at.UNKNOWN:
        return at.UNKNOWN if of[at.MAY_ENTER] == at.UNKNOWN else D_TRADING_STATE
    if now >= of[at.CUTOFF_AT]:
        return D_CUTOFF
    if of[at.MAY_ENTER] != at.MAY:
        return int(of[at.MAY_ENTER])
    if one[at.LAST] <= 0:
        return D_NO_QUOTE
    if now - quoted_at > HALTED_AFTER_NS:  # others are quoted at every close
        return D_HALTED
    return D_STALE if now - quoted_at > limits[at.L_STALE_NS] else 0


@kernel
def _refused_by_quote(one: Ints, of: Ints, price: int, rules: Rules) -> int:
    """Spread and band; then what of the instrument is held or on its way."""
    limits, tick, half = rules.limits, of[at.TICK], rules.half_spread_bps
    bid, ask = touch_of(one, -1, tick, half), touch_of(one, 1, tick, half)
    if 2 * (ask - bid) * BPS > limits[at.L_SPREAD] * (ask + bid):
        return D_SPREAD
    if abs(price - one[at.LAST]) > one[at.LAST] * limits[at.L_BAND] // BPS:
        return D_BAND
    if one[at.W_KIND]:
        return D_WORKING
    return D_POSITION if one[at.QUANTITY] else 0


@kernel
def _too_much(sign: int, amount: int, needed: int, room: int, books: Books, limits: Ints) -> int:
    acct, value = books.acct, books.value
    # Entries are of instruments that are not held, exits of held ones: no place is counted twice.
    if acct[at.HELD] + acct[at.ENTRIES] + 1 > limits[at.L_OPEN]:
        return D_OPEN
    if amount > limits[at.L_INSTRUMENT]:
        return D_INSTRUMENT
    if amount > limits[at.L_SECTOR]:
        return D_SECTOR
    if value[at.V_EXPOSURE] + acct[at.ENTERING] + amount > limits[at.L_GROSS]:
        return D_GROSS
    same_side = acct[at.ENTERING_BUY] if sign > 0 else acct[at.ENTERING_SELL]
    if value[at.V_NET] * sign + same_side + amount > limits[at.L_NET]:
        return D_NET
    return D_MARGIN if needed > room else 0


@kernel
def _too_often(one: Ints, acct: Ints, limits: Ints, now: int) -> int:
    in_second = acct[at.IN_SECOND] if acct[at.SECOND] == now // NS else 0
    in_minute = acct[at.IN_MINUTE] if acct[at.MINUTE] == now // MINUTE_NS else 0
    if in_second + 1 > limits[at.L_PER_SECOND] or in_minute + 1 > limits[at.L_PER_MINUTE]:
        return D_SECOND if in_second + 1 > limits[at.L_PER_SECOND] else D_MINUTE
    if acct[at.IN_DAY] + 1 > limits[at.L_PER_DAY]:
        return D_DAY
    if acct[at.TRADES] + 1 > limits[at.L_TRADES]:
        return D_TRADES
    if one[at.TRADES_ON] + 1 > limits[at.L_TRADES_ON]:
        return D_TRADES_ON
    return D_STREAK if acct[at.PAUSED_UNTIL] > now else 0


@kernel
def _too_deep(fallen: int, worst: int, limits: Ints) -> int:
    if fallen >= limits[at.L_DRAWDOWN]:
        return D_DRAWDOWN
    return D_DAILY_LOSS if worst >= limits[at.L_DAILY_LOSS] else 0


@kernel
def consider(row: int, sign: int, quoted_at: int, plan: Ints, books: Books, rules: Rules, now: int) -> int:
    """Size the wish, price it from the touch, judge it, send it: 0, or the code of its refusal.

    The row's price is of this close. `plan`: horizon_s, stop_bps, take_profit_bps.
    """
    one, of, acct, value, limits = books.inst[row], rules.terms[row], books.acct, books.value, rules.limits
    refused = _refused_at_sight(one, of, quoted_at, acct, limits, now)
    if refused:
        return refused
    price = _limit_price(touch_of(one, sign, of[at.TICK], rules.half_spread_bps), sign, of[at.TICK], limits)
    refused = _refused_by_quote(one, of, price, rules)
    if refused:
        return refused
    if not value[at.V_WORST_KNOWN]:
        value_at_worst(books, rules)
    asked = value[at.V_MARGIN] + acct[at.ENTERING_MARGIN]
    room = limits[at.L_CAPITAL] - asked - max(loss(books), 0) - limits[at.L_RESERVE]
    quantity = _shares(price, plan[1], limits, rules.units, room)
    amount, needed = quantity * price, margin(limits, quantity, price)
    price_loss = entry_price_loss(one, limits, sign, quantity, price, plan[1])
    worst = value[at.V_AT_STOPS] + acct[at.ENTERING_WORST] + price_loss
    worst += entry_fees(rules.units, sign, amount, price_loss)
    refused = D_SIZE if quantity < 1 else _too_much(sign, amount, needed, room, books, limits)
    refused = refused or _too_often(one, acct, limits, now)
    refused = refused or _too_deep(acct[at.PEAK] + loss(books), worst, limits)
    if refused:
        return refused
    acct[at.ENTERING_WORST] += price_loss + entry_fees(rules.units, sign, amount, 0)
    acct[at.ENTERING_MARGIN] += needed
    _ask(row, sign, quantity, price, plan, books, limits, now)
    return 0


@kernel
def _ask(
    row: int, sign: int, quantity: int, price: int, plan: Ints, books: Books, limits: Ints, now: int
) -> None:
    """The order that was allowed, on its way."""
    one, acct, amount = books.inst[row], books.acct, quantity * price
    one[at.W_KIND], one[at.W_SIGN], one[at.W_QUANTITY], one[at.W_LIMIT] = at.ENTRY, sign, quantity, price
    one[at.W_DECISION], one[at.W_REASON] = one[at.LAST], at.NO_REASON
    one[at.W_LEAVE_AT] = now + plan[0] * NS
    one[at.STOP_BPS], one[at.PROFIT_BPS] = plan[1], plan[2]
    acct[at.ENTRIES] += 1
    acct[at.ENTERING] += amount
    acct[at.ENTERING_BUY if sign > 0 else at.ENTERING_SELL] += amount
    acct[at.TRADES] += 1
    one[at.TRADES_ON] += 1
    send(one, row, books, limits, now)
