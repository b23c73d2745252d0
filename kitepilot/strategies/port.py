"""What a strategy is: it sees the market at a bar close and answers with wishes.

A strategy cannot see positions, orders or money: whether a wish becomes an order is the decision flow's
business. It is told the time by the bar it is called for and never asks for it.

A user's own strategy is a class with this shape, named in a package's entry points::

    [project.entry-points."kitepilot.strategies"]
    my_idea = "my_package.my_idea:MyIdea"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from kitepilot.events import Side

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Bars a strategy may be called for, in seconds.
INTERVALS_S = (1, 60)
MAX_BPS = 10_000
MAX_HORIZON_S = 22_500  # one whole session


@dataclass(frozen=True)
class MarketView:
    """All n instruments as of one bar close. Row i of every column is the same instrument.

    `features` is float64[n, F] with its columns named by `names`; a row holds NaN while it warms up.
    `scores` maps a model id (and "blend") to float64[n], NaN where there is no score; it is empty on 1 s
    closes. Prices are int64[n] paise; `bid_paise` and `ask_paise` are 0 where the feed has no depth.
    Arrays must not be written to.
    """

    interval_s: int
    close_at: int  # ns UTC, end of the bar
    tokens: Integers
    tradingsymbols: tuple[str, ...]
    names: tuple[str, ...]
    features: Floats
    scores: Mapping[str, Floats]
    last_paise: Integers
    bid_paise: Integers
    ask_paise: Integers

    def feature(self, name: str) -> Floats:
        """Column `name` as float64[n].

        Raises:
            KeyError: there is no such feature; the text lists those there are.
        """
        try:
            return self.features[:, self.names.index(name)]
        except ValueError:
            raise KeyError(f"no feature {name!r}; there are {', '.join(self.names)}") from None


@dataclass(frozen=True)
class Wish:
    """One instrument a strategy would like to hold (`side`), or to leave (`side=None`).

    `strength` is 0..1. `horizon_s`, `stop_bps` and `take_profit_bps` say how the position should end;
    the decision flow keeps them. A wish outside these bounds is a bug in the strategy.
    """

    row: int
    side: Side | None
    strength: float
    horizon_s: int
    stop_bps: int
    take_profit_bps: int

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength <= 1.0:
            raise ValueError(f"strength {self.strength} of a wish is outside 0..1")
        if not 0 < self.horizon_s <= MAX_HORIZON_S:
            raise ValueError(f"horizon_s {self.horizon_s} of a wish is outside 1..{MAX_HORIZON_S}")
        for name, bps in (("stop_bps", self.stop_bps), ("take_profit_bps", self.take_profit_bps)):
            if not 0 < bps <= MAX_BPS:
                raise ValueError(f"{name} {bps} of a wish is outside 1..{MAX_BPS}")


class Strategy(Protocol):
    """The interface. Made with `parameters` (name -> number); unknown or out of range is a `ValueError`.

    State must be small and plain: after `restore(snapshot())` on a new instance with the same parameters
    the answers are the same. A stateless strategy returns `b""`.

    One that follows scores also names them in a class attribute `rests_on: tuple[str, ...]`: its entries are
    refused while such a score is missing or old, or its model unfit. Without it scores are not looked at.

    Where parameters decide which of `requires` are read, a property `reads` says it of an instance.
    """

    requires: ClassVar[tuple[str, ...]]  # feature names it reads; checked before the day starts

    def __init__(self, parameters: Mapping[str, float]) -> None: ...

    @property
    def interval_s(self) -> int:
        """Which bar close it is called for: 1 or 60."""
        ...

    def on_close(self, view: MarketView) -> list[Wish]:
        """Wishes at this close, in row order; an empty list most of the time."""
        ...

    def snapshot(self) -> bytes: ...

    def restore(self, blob: bytes) -> None: ...


def reads_of(strategy: Strategy) -> tuple[str, ...]:
    """Names of the features this instance reads: all that its class requires, unless it says fewer."""
    found: tuple[str, ...] = getattr(strategy, "reads", getattr(strategy, "requires", ()))
    return found
