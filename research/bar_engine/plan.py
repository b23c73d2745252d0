"""What is backtested: everything a session's trading depends on besides its bars. Small, and it can be sent
to another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

from kitepilot.config import BrokerSection
from kitepilot.events import RiskProfile
from kitepilot.strategies.port import Strategy
from research.bars import SessionBars
from research.fills.model import FillModel

Floats = npt.NDArray[np.float64]
MIS_MARGIN_BPS = 2_000  # up to five times leverage intraday (SEBI peak margin, facts read 2026-11)


@dataclass(frozen=True)
class FeatureColumns:
    """How features come to a session: `names` of the columns, `of` gives float64[m, n, F].

    `of` must be a function of the session alone, so that sessions can be traded in any order.
    """

    names: tuple[str, ...] = ()
    of: Callable[[SessionBars], Floats] | None = None


#: Bars and their features float64[m, n, F] -> float64[m, n] by the name of a score, NaN where there is none.
SessionScores = Callable[[SessionBars, Floats], Mapping[str, Floats]]


@dataclass(frozen=True)
class BarPlan:
    """One backtest.

    `make_strategies` gives new ones, as each live day does. `special`: also Muhurat and other short sessions.
    `rates_of`: charge as on that date; None as on the session's own. `limit_s`: machine seconds that one
    strategy may take for one close. `scores`: what models say of a session; None: nobody is asked.
    """

    make_strategies: Callable[[], Mapping[str, Strategy]]
    profile: RiskProfile
    fills: FillModel = field(default_factory=FillModel)
    broker: BrokerSection = field(default_factory=BrokerSection)
    features: FeatureColumns = field(default_factory=FeatureColumns)
    capital_paise: int = 10_00_000_00
    margin_bps: int = MIS_MARGIN_BPS
    parameters: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    config_hash: str = ""
    special: bool = False
    rates_of: date | None = None
    limit_s: float = 10.0
    scores: SessionScores | None = None
