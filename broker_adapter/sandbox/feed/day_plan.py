"""What is settled before a synthetic day begins: opening gaps, jumps, halts, stalls and the day's curves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed import synthetic_kernel as kernel
from broker_adapter.sandbox.feed.universe import Cast, generator
from kitepilot.market import calendar

SECOND: Final = 1_000_000_000
DAY_MINUTES: Final = 375.0
#: (minutes after the open of a 375-minute day, level): smiles as measured, see docs/reference
# fmt: off
_VOLUME = (
    (0, 2.7), (5, 2.1), (15, 1.5), (30, 1.22), (60, 1.06), (90, 0.99), (120, 0.93), (150, 0.9),
    (180, 0.85), (225, 0.84), (270, 0.86), (300, 0.92), (330, 1.15), (345, 1.3), (360, 1.25), (375, 1.35),
)
_VOLATILITY = (
    (0, 3.4), (5, 2.4), (15, 1.75), (30, 1.35), (60, 1.05), (120, 0.92), (200, 0.85), (270, 0.88),
    (330, 1.0), (360, 1.1), (375, 1.15),
)
# fmt: on
TRADE_SHARE: Final = 0.52


@dataclass(frozen=True, slots=True)
class Plan:
    """The fixed inputs of `synthetic_kernel.advance`; arrays as documented there.

    `jumps` is (step, row, log size) for each planned jump; the row after the last instrument is the market.
    """

    session: calendar.Session
    step_ns: int
    steps: int
    traits: npt.NDArray[np.float64]
    facts: npt.NDArray[np.int64]
    floats: npt.NDArray[np.float64]
    ints: npt.NDArray[np.int64]
    market: npt.NDArray[np.float64]
    curves: npt.NDArray[np.float64]
    stalls: npt.NDArray[np.int64]
    jumps: tuple[tuple[int, int, float], ...]
    halts: tuple[tuple[int, int, int], ...]  # (instrument row, from ns, until ns)


def make_plan(cast: Cast, session: calendar.Session, seed: int, updates_per_s: float) -> Plan:
    """Draw the day of `session` for a cast."""
    rng = generator(seed, 3, session.date.toordinal())
    step_ns = _step_ns(updates_per_s)
    facts = _facts(cast, session, step_ns, rng)
    traits = _traits(cast, facts, updates_per_s, step_ns)
    floats, ints = _initial_state(cast, facts, rng)
    steps = int(facts[:, kernel.CLOSE_STEP].max())
    halts = _halts(cast, session, rng)
    for row, start, end in halts:
        facts[row, kernel.HALT_FROM] = (start - session.pre_open_at) // step_ns
        facts[row, kernel.HALT_UNTIL] = (end - session.pre_open_at) // step_ns
    return Plan(
        session=session,
        step_ns=step_ns,
        steps=steps,
        traits=traits,
        facts=facts,
        floats=floats,
        ints=ints,
        market=np.array([0.25 * rng.normal(), 0.0, 0.0]),
        curves=_curves(session, step_ns),
        stalls=_stalls(session, rng),
        jumps=_jumps(len(cast.instruments), facts, steps, rng),
        halts=halts,
    )


def _step_ns(updates_per_s: float) -> int:
    """Half a second, halved until the asked rate fits into the steps."""
    per_s = 2
    while updates_per_s * 1.3 > per_s:
        per_s *= 2
    return SECOND // per_s


def _facts(
    cast: Cast, session: calendar.Session, step_ns: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    facts = np.zeros((len(cast.instruments), kernel.FACTS), np.int64)

    def step(at: int) -> int:
        return (at - session.pre_open_at) // step_ns

    match = session.pre_open_end_at - 25 * SECOND
    for row, one in zip(facts, cast.instruments, strict=True):
        close = session.auction_continuous_close_at if one.closing_auction else session.continuous_close_at
        high, low = (1.0 + 0.015 * rng.random()), (1.0 - 0.015 * rng.random())
        tick = one.tick_size_paise
        row[: kernel.CURVE + 1] = (
            one.token,
            tick,
            one.previous_close_paise,
            one.lower_circuit_paise,
            one.upper_circuit_paise,
            step(match + int(rng.integers(3)) * SECOND),
            step(session.open_at),
            step(close),
            0,
            0,
            _last_trade_s(session.date, rng),
            int(one.previous_close_paise * high) // tick * tick,
            max(int(one.previous_close_paise * low) // tick, 1) * tick,
            int(one.closing_auction),
        )
    return facts


def _last_trade_s(day: date, rng: np.random.Generator) -> int:
    """Epoch second of the previous session's last (post-close) trade."""
    previous = calendar.previous_session(day) or day - timedelta(days=1)
    return calendar.ist_ns(previous, "15:59") // SECOND + int(rng.integers(60))


def _traits(
    cast: Cast, facts: npt.NDArray[np.int64], updates_per_s: float, step_ns: int
) -> npt.NDArray[np.float64]:
    closes = facts[:, kernel.PREVIOUS].astype(float)
    ticks = facts[:, kernel.TICK].astype(float)
    activity = cast.activity * updates_per_s * (step_ns / SECOND) / cast.activity[~cast.quiet].mean()
    steps = facts[:, kernel.CLOSE_STEP] - facts[:, kernel.OPEN_STEP]
    traits = np.empty((len(closes), kernel.TRAITS))
    traits[:, kernel.SIGMA] = cast.sigma
    traits[:, kernel.BETA] = cast.beta * 2.3e-4 / np.sqrt(60.0)
    traits[:, kernel.SPREAD] = np.maximum(cast.spread_bps * 1e-4 * closes, 0.8 * ticks)
    traits[:, kernel.TRADE_SIZE] = cast.turnover_paise / closes / (steps * activity * TRADE_SHARE)
    traits[:, kernel.TOUCH] = np.maximum(cast.touch_paise / closes, 2.0)
    traits[:, kernel.ACTIVITY] = activity
    traits[:, kernel.TRADE_SHARE] = TRADE_SHARE
    traits[:, kernel.GAP_CHANCE] = np.clip(0.45 - 0.2e4 * ticks / closes, 0.05, 0.5)
    return traits


def _initial_state(
    cast: Cast, facts: npt.NDArray[np.int64], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    n = len(facts)
    floats, ints = np.zeros((n, kernel.FLOATS)), np.zeros((n, kernel.INTS), np.int64)
    closes = facts[:, kernel.PREVIOUS].astype(float)
    gap = np.clip(0.003 * rng.normal() + 0.006 * rng.normal(size=n), -0.04, 0.04)
    floats[:, kernel.PRICE] = closes * (1.0 + gap)
    floats[:, kernel.SLOW] = 0.25 * rng.normal(size=n)
    floats[:, kernel.SIGN] = 1.0
    floats[:, kernel.INDICATIVE] = np.maximum(
        cast.turnover_paise / closes * 2e-4 * (0.5 + rng.random(n)), 2.0
    )
    ints[:, kernel.LAST] = facts[:, kernel.PREVIOUS]
    ints[:, kernel.LAST_QUANTITY] = rng.integers(1, 100, n)
    ints[:, kernel.TRADE_S] = facts[:, kernel.PREVIOUS_TRADE_S]
    return floats, ints


def _curves(session: calendar.Session, step_ns: int) -> npt.NDArray[np.float64]:
    """Volatility and volume by step after the open, for a plain and for an auction close."""
    closes = (session.continuous_close_at, session.auction_continuous_close_at)
    longest = max((close - session.open_at) // step_ns for close in closes)
    curves = np.ones((2, 2, longest))
    for kind, close in enumerate(closes):
        steps = (close - session.open_at) // step_ns
        minutes = np.arange(steps) * (DAY_MINUTES / steps)
        for line, knots in ((kernel.VOLATILITY_CURVE, _VOLATILITY), (kernel.VOLUME_CURVE, _VOLUME)):
            levels = np.interp(minutes, [k[0] for k in knots], [k[1] for k in knots])
            curves[kind, line, :steps] = levels / levels.mean()
    return curves


def _jumps(
    n: int, facts: npt.NDArray[np.int64], steps: int, rng: np.random.Generator
) -> tuple[tuple[int, int, float], ...]:
    """About one instrument in four jumps by 0.3-1.2 %; every third day the whole market by 0.2-0.5 %."""
    first = int(facts[:, kernel.OPEN_STEP].min()) + 1
    jumps = []
    for row in np.repeat(np.arange(n), rng.poisson(0.25, n)):
        size = (0.003 + 0.009 * rng.random()) * (1.0 if rng.random() < 0.5 else -1.0)
        jumps.append((int(rng.integers(first, steps)), int(row), size))
    if rng.random() < 0.33:
        size = (0.002 + 0.003 * rng.random()) * (1.0 if rng.random() < 0.5 else -1.0)
        jumps.append((int(rng.integers(first, steps)), n, size))
    return tuple(sorted(jumps))


def _halts(
    cast: Cast, session: calendar.Session, rng: np.random.Generator
) -> tuple[tuple[int, int, int], ...]:
    """One or two instruments (in a cast of ten or more) fall silent for three to eight minutes."""
    usual = np.flatnonzero(~cast.quiet)
    if len(cast.instruments) < 10:
        return ()
    rows = rng.choice(usual, size=1 + int(rng.random() < 0.5), replace=False)
    halts = []
    for row in rows:
        start = session.open_at + int(rng.integers(30 * 60, 5 * 3600)) * SECOND
        halts.append((int(row), start, start + int(rng.integers(180, 480)) * SECOND))
    return tuple(halts)


def _stalls(session: calendar.Session, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A few spells of 1.5-4 s in which nothing leaves: packets come late, in order, in a burst."""
    starts = session.open_at + rng.integers(60, 6 * 3600 - 1800, 6) * SECOND
    lengths = (1.5 + 2.5 * rng.random(6)) * SECOND
    return np.stack([np.sort(starts), np.sort(starts) + lengths.astype(np.int64)], axis=1).astype(np.int64)
