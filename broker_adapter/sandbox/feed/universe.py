"""The synthetic market's cast: invented companies with prices, tick sizes and temperaments.

A seed has one cast; a date only moves its previous closes. Days are drawn independently of each other:
yesterday's synthetic close is not today's previous close.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed.port import FeedInstrument
from broker_adapter.sandbox.feed.tick_sizes import circuit_limits, tick_size_paise

MAX_INSTRUMENTS: Final = 1_000
CLOSING_AUCTION_SINCE: Final = date(2026, 8, 3)
# fmt: off
_GREEK = (
    "ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON", "ZETA", "ETA", "THETA", "IOTA", "KAPPA", "LAMBDA",
    "MU", "NU", "XI", "OMICRON", "PI", "RHO", "SIGMA", "TAU", "UPSILON", "PHI", "CHI", "PSI", "OMEGA",
)
_TRADES = (
    "", "BANK", "STEEL", "PHARMA", "AUTO", "INFRA", "POWER", "CHEM", "TECH", "FOODS", "CEMENT",
    "TEXTILE", "PORTS", "PAINTS", "METALS", "OIL", "MEDIA", "REALTY", "SUGAR", "GLASS", "RAIL", "PAPER",
    "TYRES", "CABLES", "SHIPS", "TOOLS", "MINES", "SEEDS", "LOGIS", "HOTELS", "TELE", "GAS", "AGRO",
    "FIN", "INSURE", "RETAIL", "DAIRY", "SALT", "WATER", "SOLAR", "WIND", "LABS",
)
_SECTORS = ("BANKS", "IT", "AUTO", "PHARMA", "METALS", "ENERGY", "CONSUMER", "CEMENT")
# fmt: on
#: Share of the cast in each price band (rupees, low and high), over all six tick sizes.
_BANDS = (
    (40, 240, 0.16),
    (260, 980, 0.34),
    (1_050, 4_800, 0.36),
    (5_200, 9_600, 0.08),
    (10_500, 19_000, 0.04),
    (21_000, 60_000, 0.02),
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who trades today. Arrays have one entry per instrument, in the order of `instruments`.

    `sigma` is the idiosyncratic return's standard deviation over a square-root second, `turnover_paise`
    a usual day's, `activity` multiplies the update rate, `spread_bps` and `touch_paise` (value resting at
    the best price) are usual figures.
    """

    instruments: tuple[FeedInstrument, ...]
    sigma: npt.NDArray[np.float64]
    beta: npt.NDArray[np.float64]
    turnover_paise: npt.NDArray[np.float64]
    activity: npt.NDArray[np.float64]
    spread_bps: npt.NDArray[np.float64]
    touch_paise: npt.NDArray[np.float64]
    quiet: npt.NDArray[np.bool_]


def generator(seed: int, *path: int) -> np.random.Generator:
    """A Philox generator of its own for each (seed, path), the same on every platform."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *path])))


def make_cast(seed: int, session: date, count: int) -> Cast:
    """The first `count` companies of the seed's cast on a session date."""
    rng = generator(seed, 1)
    bands = _bands(rng)[:count]
    low, high = (np.array([band[k] for band in _BANDS])[bands] for k in (0, 1))
    base = low * (high / low) ** rng.random(MAX_INSTRUMENTS)[:count]
    exchange_tokens = 1_000 + rng.permutation(20_000)[:count]
    auction = rng.random(MAX_INSTRUMENTS)[:count] < 0.6
    rank = rng.permutation(MAX_INSTRUMENTS)[:count] / MAX_INSTRUMENTS  # 0 most traded
    quiet = (np.arange(count) % 12 == 7) & ~auction
    spread = 0.8 + 1.5 * rank + 0.4 * rng.random(MAX_INSTRUMENTS)[:count]
    walk = generator(seed, 2, session.toordinal()).normal(0.0, 0.03, MAX_INSTRUMENTS)[:count]
    closes = np.maximum(np.rint(base * (1.0 + np.clip(walk, -0.2, 0.2)) * 100.0), 1_000).astype(np.int64)
    turnover = np.where(quiet, 0.02, 1.0) * 3e9 * 100.0 * 10.0 ** (-1.3 * rank)
    instruments = tuple(
        _instrument(k, int(exchange_tokens[k]), int(closes[k]), bool(auction[k]), session)._replace(
            sector=_SECTORS[k % len(_SECTORS)], average_volume=int(turnover[k] // closes[k])
        )
        for k in range(count)
    )
    return Cast(
        instruments=instruments,
        sigma=(3.4 + 2.0 * rng.random(MAX_INSTRUMENTS)[:count]) * 1e-4 / np.sqrt(60.0),
        beta=0.6 + 0.8 * rng.random(MAX_INSTRUMENTS)[:count],
        turnover_paise=turnover,
        activity=np.where(quiet, 0.06, 1.15 - 0.5 * rank),
        spread_bps=np.where(quiet, spread * 4.0, spread),
        touch_paise=np.where(quiet, 0.2, 1.0) * 100.0 * 420_000.0 * 10.0 ** (-0.8 * rank),
        quiet=quiet,
    )


def _bands(rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A band for each possible instrument, such that any prefix has nearly the shares of `_BANDS`."""
    shares = np.array([band[2] for band in _BANDS])
    given = np.zeros(len(_BANDS))
    order = []
    for k in range(MAX_INSTRUMENTS):
        pick = int(np.argmax(shares * (k + 1) - given))
        given[pick] += 1
        order.append(pick)
    blocks = np.array(order).reshape(-1, 50)
    return np.concatenate([rng.permutation(block) for block in blocks])


def _instrument(k: int, exchange_token: int, close: int, auction: bool, session: date) -> FeedInstrument:
    greek, trade = _GREEK[k % len(_GREEK)], _TRADES[k // len(_GREEK)]
    tick = tick_size_paise(close, session)
    close = max(close // tick, 1) * tick
    lower, upper = circuit_limits(close, tick)
    return FeedInstrument(
        token=exchange_token * 256 + 1,
        exchange_token=exchange_token,
        tradingsymbol=f"KP{greek}{trade}",
        name=f"{greek.title()} {trade.title()} Limited (invented)".replace("  ", " "),
        tick_size_paise=tick,
        lot_size=1,
        previous_close_paise=close,
        closing_auction=auction and session >= CLOSING_AUCTION_SINCE,
        lower_circuit_paise=lower,
        upper_circuit_paise=upper,
    )
