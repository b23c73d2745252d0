"""Features of who was in a hurry and what the book looked like, minute by minute; and of bounce in closes.

Signs, packets and books come from ticks: from bars alone these are NaN, all but `roll_spread_60m`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels import minute_layout as at
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.feature_docs import MICROSTRUCTURE, TICK_BARS, FeatureDoc, bars
from kitepilot.kernels.minute_layout import IMBALANCE_UNIT, MILLI
from kitepilot.kernels.minute_volume import rate_ratio, share
from kitepilot.kernels.minute_windows import back

Floats = npt.NDArray[np.float64]
NAN = np.nan
#: Thousandths of a bps for a thousand rupees -> bps for a lakh of rupees.
IMPACT_UNIT = 0.1


def _flow(name: str, meaning: str, unit: str, warmup_m: int) -> FeatureDoc:
    return bars(name, meaning, unit, warmup_m, MICROSTRUCTURE)._replace(source=TICK_BARS)


DOCS: tuple[FeatureDoc, ...] = (
    _flow("signed_5m", "volume of buyers less sellers over all, 5 min", "-1..1", 5),
    _flow("signed_15m", "the same over 15 min", "-1..1", 15),
    _flow("signed_60m", "the same over 60 min", "-1..1", 60),
    _flow("tick_ratio_5_60", "packets a minute of 5 min over those of 60 min", "times", 60),
    _flow("packet_size_5_60", "shares a packet of 5 min over those of 60 min", "times", 60),
    _flow("spread_5m", "spread, mean of the minutes of 5 that had a book", "bps", 5),
    _flow("spread_ratio_5_60", "spread_5m over the same of 60 min", "times", 60),
    _flow("imbalance_5m", "imbalance_l1, mean of the minutes of 5 that had a book", "-1..1", 5),
    _flow("imbalance_30m", "the same over 30 min", "-1..1", 30),
    _flow(
        "impact_30m",
        "slope of 1 m returns on signed turnover, 30 min (Kyle 1985); 0 if none",
        "bps per lakh",
        31,
    ),
    bars(
        "roll_spread_60m",
        "spread that the bounce of 60 closes implies (Roll 1984); 0 if they do not bounce",
        "bps",
        62,
        MICROSTRUCTURE,
    ),
)


@kernel
def _packet_size(ready: Floats, latest: Floats, ago_5: Floats, ago_60: Floats, out: Floats) -> None:
    for row in range(out.shape[0]):
        volume = latest[at.C_VOLUME, row] - ago_5[at.C_VOLUME, row]
        packets = latest[at.C_TICKS, row] - ago_5[at.C_TICKS, row]
        volume_60 = latest[at.C_VOLUME, row] - ago_60[at.C_VOLUME, row]
        packets_60 = latest[at.C_TICKS, row] - ago_60[at.C_TICKS, row]
        value = volume / packets * packets_60 / volume_60
        out[row] = value if ready[row] >= 60.0 and packets > 0.0 and volume_60 > 0.0 else NAN


@kernel
def _mean_of_books(
    ready: Floats, minutes: int, column: int, unit: float, latest: Floats, then: Floats, out: Floats
) -> None:
    for row in range(out.size):
        books = latest[at.C_BOOKS, row] - then[at.C_BOOKS, row]
        value = (latest[column, row] - then[column, row]) / books / unit
        out[row] = value if ready[row] >= minutes and books > 0.0 else NAN


@kernel
def _spread_ratio(ready: Floats, short: Floats, latest: Floats, then: Floats, out: Floats) -> None:
    for row in range(out.size):
        books = latest[at.C_BOOKS, row] - then[at.C_BOOKS, row]
        long = (latest[at.C_SPREAD, row] - then[at.C_SPREAD, row]) / books / MILLI
        out[row] = short[row] / long if ready[row] >= 60.0 and books > 0.0 and long > 0.0 else NAN


@kernel
def _impact(ready: Floats, latest: Floats, then: Floats, out: Floats) -> None:
    for row in range(out.size):
        energy = latest[at.C_MONEY2, row] - then[at.C_MONEY2, row]
        value = (latest[at.C_IMPACT, row] - then[at.C_IMPACT, row]) / energy * IMPACT_UNIT
        value = value if energy > 0.0 else 0.0
        out[row] = value if ready[row] >= 31.0 else NAN


@kernel
def _roll(ready: Floats, lagged: Floats, then: Floats, out: Floats) -> None:
    for row in range(out.size):
        bounce = max((then[row] - lagged[row]) / 60.0, 0.0)
        out[row] = 2.0 * np.sqrt(bounce) / MILLI if ready[row] >= 62.0 else NAN


@kernel
def flow_minute_features(now: Floats, sums: Floats, step: int, out: Floats) -> None:
    """out float64[11, n] in the order of `DOCS`."""
    ready, latest = now[at.N_FLOW_READY], sums[back(step, 0)]
    ago_5, ago_15, ago_30 = sums[back(step, 5)], sums[back(step, 15)], sums[back(step, 30)]
    ago_60 = sums[back(step, 60)]
    signed, volume = latest[at.C_SIGNED], latest[at.C_VOLUME]
    share(ready, 5, signed, ago_5[at.C_SIGNED], volume, ago_5[at.C_VOLUME], out[0])
    share(ready, 15, signed, ago_15[at.C_SIGNED], volume, ago_15[at.C_VOLUME], out[1])
    share(ready, 60, signed, ago_60[at.C_SIGNED], volume, ago_60[at.C_VOLUME], out[2])
    rate_ratio(ready, 60, latest[at.C_TICKS], ago_5[at.C_TICKS], ago_60[at.C_TICKS], out[3])
    _packet_size(ready, latest, ago_5, ago_60, out[4])
    _mean_of_books(ready, 5, at.C_SPREAD, MILLI, latest, ago_5, out[5])
    _spread_ratio(ready, out[5], latest, ago_60, out[6])
    _mean_of_books(ready, 5, at.C_IMBALANCE, IMBALANCE_UNIT, latest, ago_5, out[7])
    _mean_of_books(ready, 30, at.C_IMBALANCE, IMBALANCE_UNIT, latest, ago_30, out[8])
    _impact(ready, latest, ago_30, out[9])
    _roll(now[at.N_READY], latest[at.C_LAG], ago_60[at.C_LAG], out[10])
