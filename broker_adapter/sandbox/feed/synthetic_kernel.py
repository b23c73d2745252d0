"""One instrument's half-second, compiled: returns, quotes, trades, depth and the packet they make.

The model, per instrument and step: an efficient price with a market factor, two volatility components (tens
of minutes, about a minute) and a weak pull to the day's VWAP; a transient pressure that decays in seconds
(returns' negative autocorrelation); a book imbalance that leads the price for a few seconds and tilts the
depth and the trades. State is carried in arrays; randomness is keyed by (instrument, step), so how a day is
cut into calls cannot matter. Only integer operations and IEEE arithmetic: no libm, whose last digit differs
between machines. All compiled code is in this one file because numba's cache watches one file at a time.
"""

from __future__ import annotations

import numpy as np
from numba import njit

PACKET_WORDS = (
    46  # a 184-byte packet as 32-bit words; a depth level's orders sit in the high half of its word
)

# Columns of `traits` (float64[n, 8]).
SIGMA, BETA, SPREAD, TRADE_SIZE, TOUCH, ACTIVITY, TRADE_SHARE, GAP_CHANCE = range(8)
TRAITS = 8
# Columns of `facts` (int64[n, 14]). Steps count from the pre-open's start.
TOKEN, TICK, PREVIOUS, LOWER, UPPER, MATCH_STEP, OPEN_STEP, CLOSE_STEP = range(8)
HALT_FROM, HALT_UNTIL, PREVIOUS_TRADE_S, PREVIOUS_HIGH, PREVIOUS_LOW, CURVE = range(8, 14)
FACTS = 14
# Columns of `floats` (float64[n, 18]): the moving state. Ten log sizes of depth levels come last.
PRICE, PRESSURE, IMBALANCE, SLOW, FAST, LIQUIDITY, SIGN, INDICATIVE, SIZES = range(9)
FLOATS = SIZES + 10
# Columns of `ints` (int64[n, 11]): what the packets accumulate.
LAST, LAST_QUANTITY, VOLUME, TURNOVER, OPEN, HIGH, LOW, TRADE_S, BID, ASK, SENT = range(11)
INTS = 11
# Rows of `curves` (float64[2 kinds of close, 2, steps]).
VOLATILITY_CURVE, VOLUME_CURVE = range(2)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LANE = np.uint64(0xD1B54A32D192ED03)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S11, _S16, _S27, _S30, _S31, _S32, _S48 = (np.uint64(k) for k in (11, 16, 27, 30, 31, 32, 48))
_LOW16 = np.uint64(0xFFFF)
_ROOT3 = 1.7320508075688772

DUPLICATE_CHANCE = 0.065
QUIET_START_NS = 1_000_000_000  # nothing before clients have seen a clock


@njit(cache=True, nogil=True)
def advance(
    key, first, until, t0, step_ns, rows, traits, facts, floats, ints, market, curves, shocks, stalls, words,
    sent,
):  # fmt: skip
    """Run steps [first, until) for the instruments in `rows`; returns the number of packets written.

    Nothing of one instrument reaches another, so a row's packets are the same whichever others are run.

    `market` float64[3] (factor's slow and fast log volatility, its return); `shocks` float64[n + 1, steps]
    are planned log jumps of these steps (last row: everybody); `stalls` int64[k, 2] are spells in which
    nothing leaves the exchange. `words` uint32[m, 46] and `sent` int64[m] are filled in step order.
    """
    stream = np.empty(1, np.uint64)
    n = traits.shape[0]
    dt = step_ns * 1e-9
    count = 0
    for step in range(first, until):
        _seek(stream, key, n + 7, step)
        _market_step(stream, market, dt)
        common = market[2] + shocks[n, step - first]
        for i in rows:
            if step >= facts[i, CLOSE_STEP]:
                continue
            _seek(stream, key, i, step)
            now = t0 + step * step_ns + np.int64(_uniform(stream) * step_ns)
            if now - t0 < QUIET_START_NS:
                continue
            if step < facts[i, OPEN_STEP]:
                emit = _pre_open(stream, i, step, now, dt, traits, facts, floats, ints, words[count])
            else:
                emit = _continuous(
                    stream,
                    i,
                    step,
                    now,
                    dt,
                    common,
                    shocks[i, step - first],
                    traits,
                    facts,
                    floats,
                    ints,
                    curves,
                    words[count],
                )
            if emit:
                count = _send(stream, i, now, ints, stalls, words, sent, count)
    return count


@njit(cache=True)
def _market_step(stream, market, dt):
    market[0] += -market[0] * dt / 1200.0 + 0.35 * np.sqrt(2.0 * dt / 1200.0) * _normal(stream)
    market[1] += -market[1] * dt / 90.0 + 0.40 * np.sqrt(2.0 * dt / 90.0) * _normal(stream)
    market[2] = _growth(market[0] + market[1]) * np.sqrt(dt) * _normal(stream)


@njit(cache=True)
def _send(stream, i, now, ints, stalls, words, sent, count):
    """Give the packet its time of leaving, and sometimes send it twice, as the real feed does."""
    delay = _uniform(stream)
    leaves = now + np.int64(50e6 + 400e6 * delay * delay)
    for k in range(stalls.shape[0]):
        if stalls[k, 0] <= leaves < stalls[k, 1]:
            leaves = stalls[k, 1]
    leaves = max(leaves, ints[i, SENT])  # one instrument's packets never overtake each other
    copies = 2 if _uniform(stream) < DUPLICATE_CHANCE else 1
    for copy in range(copies):
        if copy:
            words[count] = words[count - 1]
            leaves += np.int64(20e6 + 200e6 * _uniform(stream))
        sent[count] = leaves
        count += 1
    ints[i, SENT] = leaves
    return count


@njit(cache=True)
def _continuous(stream, i, step, now, dt, common, shock, traits, facts, floats, ints, curves, row):
    """Move one instrument by a step; True when it changed visibly and `row` holds its packet."""
    at = step - facts[i, OPEN_STEP]
    heat = curves[facts[i, CURVE], VOLATILITY_CURVE, at]
    pace = curves[facts[i, CURVE], VOLUME_CURVE, at]
    _move(stream, i, dt, common, shock, heat, traits, facts, floats, ints)
    halted = facts[i, HALT_FROM] <= step < facts[i, HALT_UNTIL]
    busy = traits[i, ACTIVITY] * min(0.6 + 0.4 * pace, 1.25)
    if halted or _uniform(stream) >= busy:
        return False
    if ints[i, BID] > 0 and _uniform(stream) < traits[i, TRADE_SHARE] * min(0.7 + 0.3 * pace, 1.5):
        _trade(stream, i, now, pace, traits, facts, floats, ints)
    _quote(stream, i, traits, facts, floats, ints)
    _depth(stream, i, traits, facts, floats, ints, row)
    _head(i, now, facts, ints, row)
    return True


@njit(cache=True)
def _move(stream, i, dt, common, shock, heat, traits, facts, floats, ints):
    state = floats[i]
    state[SLOW] += -state[SLOW] * dt / 1500.0 + 0.35 * np.sqrt(2.0 * dt / 1500.0) * _normal(stream)
    state[FAST] += -state[FAST] * dt / 75.0 + 0.45 * np.sqrt(2.0 * dt / 75.0) * _normal(stream)
    if shock != 0.0:
        state[FAST] = min(state[FAST] + 1.0, 2.0)
    state[IMBALANCE] += -state[IMBALANCE] * dt / 6.0 + np.sqrt(2.0 * dt / 6.0) * _normal(stream)
    state[LIQUIDITY] += -state[LIQUIDITY] * dt / 300.0 + 0.35 * np.sqrt(2.0 * dt / 300.0) * _normal(stream)
    sigma = traits[i, SIGMA] * heat * _growth(state[SLOW] + state[FAST])
    state[PRESSURE] += -state[PRESSURE] * dt / 15.0 + 0.75 * sigma * np.sqrt(dt) * _normal(stream)
    move = sigma * (np.sqrt(dt) * _normal(stream) + 0.13 * dt * state[IMBALANCE])
    move += traits[i, BETA] * common * heat + shock
    if ints[i, VOLUME] > 0:
        vwap = ints[i, TURNOVER] / ints[i, VOLUME]
        move += (vwap / state[PRICE] - 1.0) * dt / 5400.0
    price = state[PRICE] * (1.0 + min(max(move, -0.03), 0.03))
    state[PRICE] = min(max(price, facts[i, LOWER] * 1.003), facts[i, UPPER] * 0.997)


@njit(cache=True)
def _trade(stream, i, now, pace, traits, facts, floats, ints):
    """A trade against the quote that was shown before this step's."""
    state, book = floats[i], ints[i]
    chance = 0.5 + 0.02 * state[SIGN] + 0.06 * min(max(state[IMBALANCE], -2.0), 2.0)
    state[SIGN] = 1.0 if _uniform(stream) < chance else -1.0
    quantity = traits[i, TRADE_SIZE] * pace * _growth(1.1 * _normal(stream) + 0.6 * state[FAST] - 0.7)
    book[LAST_QUANTITY] = max(np.int64(quantity * (0.05 + 0.5 * _uniform(stream))), 1)
    traded = max(np.int64(quantity), book[LAST_QUANTITY])
    price = book[ASK] if state[SIGN] > 0 else book[BID]
    book[LAST] = price
    book[VOLUME] += traded
    book[TURNOVER] += traded * price
    if book[OPEN] == 0:
        book[OPEN], book[HIGH], book[LOW] = price, price, price
    book[HIGH] = max(book[HIGH], price)
    book[LOW] = min(book[LOW], price)
    book[TRADE_S] = now // 1_000_000_000


@njit(cache=True)
def _quote(stream, i, traits, facts, floats, ints):
    """The new best bid and ask, on the grid: wider when volatile or illiquid."""
    state, tick = floats[i], facts[i, TICK]
    width = traits[i, SPREAD] * _growth(0.4 * (state[SLOW] + state[FAST]) + state[LIQUIDITY])
    width *= 0.5 + _uniform(stream)
    middle = state[PRICE] * (1.0 + state[PRESSURE]) + 0.15 * width * state[IMBALANCE]
    bid = np.int64((middle - 0.5 * width) / tick + 0.5)
    ask = max(np.int64((middle + 0.5 * width) / tick + 0.5), bid + 1)
    ask = min(ask, facts[i, UPPER] // tick)
    bid = max(min(bid, ask - 1), 1)
    ints[i, BID] = bid * tick
    ints[i, ASK] = max(ask, bid + 1) * tick


@njit(cache=True)
def _depth(stream, i, traits, facts, floats, ints, row):
    """Five levels a side; sizes thin out with volatility and lean with the imbalance."""
    state, tick = floats[i], facts[i, TICK]
    thin = -0.5 * (state[SLOW] + state[FAST]) - 0.6 * state[LIQUIDITY]
    for side in range(2):
        price = ints[i, BID] if side == 0 else ints[i, ASK]
        direction = -tick if side == 0 else tick
        lean = 0.5 * state[IMBALANCE] if side == 0 else -0.5 * state[IMBALANCE]
        for level in range(5):
            k = SIZES + 5 * side + level
            state[k] = 0.8 * state[k] + 0.6 * _normal(stream)
            size = (
                traits[i, TOUCH] * (1.0 + 0.5 * level) * _growth(0.9 * state[k] + thin + lean / (1.0 + level))
            )
            quantity = max(np.int64(size), 1)
            word = 16 + 15 * side + 3 * level
            row[word] = np.uint32(min(quantity, 2_000_000_000))
            row[word + 1] = np.uint32(max(price, 0))
            row[word + 2] = (
                np.uint32(min(1 + np.int64(2.0 * size / (size + traits[i, TOUCH]) * 4.0), 60_000)) << 16
            )
            price += direction
            while _uniform(stream) < traits[i, GAP_CHANCE]:
                price += direction
            if price <= 0:
                price = np.int64(0)
    deep = traits[i, TOUCH] * 300.0
    row[5] = np.uint32(min(deep * _growth(0.15 * state[SLOW] + 0.1 * state[IMBALANCE]), 4e9))
    row[6] = np.uint32(min(deep * _growth(-0.15 * state[SLOW] - 0.1 * state[IMBALANCE]), 4e9))


@njit(cache=True)
def _head(i, now, facts, ints, row):
    book = ints[i]
    row[0] = facts[i, TOKEN]
    row[1] = book[LAST]
    row[2] = book[LAST_QUANTITY]
    row[3] = (2 * book[TURNOVER] + book[VOLUME]) // (2 * book[VOLUME]) if book[VOLUME] > 0 else 0
    row[4] = book[VOLUME]
    row[7] = book[OPEN]
    row[8] = book[HIGH] if book[HIGH] > 0 else facts[i, PREVIOUS_HIGH]
    row[9] = book[LOW] if book[LOW] > 0 else facts[i, PREVIOUS_LOW]
    row[10] = facts[i, PREVIOUS]
    row[11] = book[TRADE_S]
    row[12:15] = 0
    row[15] = now // 1_000_000_000


@njit(cache=True)
def _pre_open(stream, i, step, now, dt, traits, facts, floats, ints, row):
    """The call auction: indicative volume up and down, a reset, the match, then quiet until the open."""
    book = ints[i]
    if step == facts[i, MATCH_STEP]:  # the reset: everything indicative is gone for one packet
        book[VOLUME] = 0
        _auction_book(stream, i, traits, facts, floats, book[OPEN], row)
        book[OPEN] = 0
        _head(i, now, facts, ints, row)
        return True
    if step == facts[i, MATCH_STEP] + 1:
        _match(i, now, facts, floats, ints)
        _quote(stream, i, traits, facts, floats, ints)
        _depth(stream, i, traits, facts, floats, ints, row)
        _head(i, now, facts, ints, row)
        return True
    matched = step > facts[i, MATCH_STEP]
    if _uniform(stream) >= (0.02 if matched else 0.25) * dt * min(traits[i, ACTIVITY] * 2.0, 1.0):
        return False
    if matched:
        _depth(stream, i, traits, facts, floats, ints, row)
    else:
        _indicate(stream, i, facts, floats, ints)
        _auction_book(stream, i, traits, facts, floats, book[OPEN], row)
    _head(i, now, facts, ints, row)
    if not matched:
        row[3] = 0  # there is no average price before the first trade
    return True


@njit(cache=True)
def _indicate(stream, i, facts, floats, ints):
    """The matched quantity drifts up, and falls back whenever orders are withdrawn."""
    state = floats[i]
    state[INDICATIVE] *= 1.0 + 0.10 * (_normal(stream) + 0.35)
    state[INDICATIVE] = min(max(state[INDICATIVE], 1.0), 1e9)
    ints[i, VOLUME] = np.int64(state[INDICATIVE])
    tick = facts[i, TICK]
    price = np.int64(state[PRICE] * (1.0 + 4e-4 * _normal(stream)) / tick + 0.5) * tick
    ints[i, OPEN] = min(max(price, facts[i, LOWER]), facts[i, UPPER])


@njit(cache=True)
def _match(i, now, facts, floats, ints):
    """The auction's single price becomes open, high, low and last; its quantity is the day's first volume."""
    state, book, tick = floats[i], ints[i], facts[i, TICK]
    price = np.int64(state[PRICE] / tick + 0.5) * tick
    quantity = max(np.int64(state[INDICATIVE]), 1)
    book[OPEN], book[HIGH], book[LOW], book[LAST] = price, price, price, price
    book[LAST_QUANTITY] = min(quantity, 25)
    book[VOLUME] = quantity
    book[TURNOVER] = quantity * price
    book[TRADE_S] = now // 1_000_000_000


@njit(cache=True)
def _auction_book(stream, i, traits, facts, floats, indicative, row):
    """Crossed, as Kite shows it: best bid above the indicative price; market orders at level 5, price 0."""
    tick = facts[i, TICK]
    for side in range(2):
        price = facts[i, UPPER] if side == 0 else facts[i, LOWER]
        for level in range(5):
            word = 16 + 15 * side + 3 * level
            row[word] = np.uint32(1 + traits[i, TOUCH] * _growth(0.8 * _normal(stream)))
            row[word + 1] = np.uint32(price if level < 4 else 0)
            row[word + 2] = np.uint32(1 + 3 * level) << 16
            price += -tick * (1 + level) if side == 0 else tick * (1 + level)
    row[5] = np.uint32(min(floats[i, INDICATIVE] * 2.2, 4e9))
    row[6] = np.uint32(min(floats[i, INDICATIVE] * 2.6, 4e9))


@njit(cache=True)
def _mix(z):
    """SplitMix64's finaliser (Steele, Lea and Flood 2014)."""
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@njit(cache=True)
def _seek(stream, key, lane, step):
    """Put the stream at the start that (key, lane, step) owns, whatever was drawn before."""
    stream[0] = _mix(key + np.uint64(lane + 1) * _LANE + np.uint64(step + 1) * _GOLDEN)


@njit(cache=True)
def _bits(stream):
    """The next 64 random bits."""
    stream[0] += _GOLDEN
    return _mix(stream[0])


@njit(cache=True)
def _uniform(stream):
    """A float in [0, 1)."""
    return np.float64(_bits(stream) >> _S11) * 1.1102230246251565e-16


@njit(cache=True)
def _normal(stream):
    """Nearly normal, variance 1: four uniforms summed. Tails end at 3.46; volatility makes ours fat."""
    z = _bits(stream)
    total = (z & _LOW16) + ((z >> _S16) & _LOW16) + ((z >> _S32) & _LOW16) + (z >> _S48)
    return (np.float64(total) * (1.0 / 65536.0) - 2.0) * _ROOT3


@njit(cache=True)
def _growth(x):
    """exp(x) for x in [-6, 6] (clamped), as (1 + x/1024) ** 1024: within 2 % there."""
    y = 1.0 + min(max(x, -6.0), 6.0) / 1024.0
    for _ in range(10):
        y *= y
    return y
