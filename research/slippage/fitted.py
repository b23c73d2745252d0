"""A fit as it is kept: one JSON file a fit, named by its date and hash, and `current.json` beside them.

`current.json` is what backtests take: the newest fit that foretold unseen orders better than the assumed
numbers do.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from research.fills.model import FillModel, digest

CURRENT = "current.json"


class Interval(msgspec.Struct, frozen=True):
    """A number with its 90 % interval, bps."""

    value: float
    low: float
    high: float


class Bucket(msgspec.Struct, frozen=True):
    """Unseen orders of one side and liquidity: what they paid on average, what was predicted, and the mean
    absolute error of a single order. Bps."""

    side: str
    liquidity: str
    orders: int
    realised_bps: float
    predicted_bps: float
    error_bps: float


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """What `slippage fit` found. Errors are measured on orders that the fit has not seen."""

    model: FillModel
    half_spread: Interval
    impact: Interval
    orders: int
    skipped: int
    sessions: tuple[str, ...]
    unseen_orders: int
    error_bps: float  # mean absolute error of one order
    realised_bps: float  # mean absolute slippage of one order
    assumed_error_bps: float  # of the numbers that are assumed without a fit, on the same orders
    cost_error: float  # of all of them together, as a share of what they paid
    buckets: tuple[Bucket, ...]

    @property
    def error_share(self) -> float:
        """The error of one order over its slippage; the aim is below 0.2."""
        return self.error_bps / self.realised_bps if self.realised_bps else float("nan")

    @property
    def better(self) -> bool:
        """Whether it foretells unseen orders better than the assumed numbers."""
        return self.error_bps < self.assumed_error_bps


class _File(Fitted, frozen=True, kw_only=True):
    sha256: str


def keep(fitted: Fitted, folder: Path) -> Path:
    """Write the fit, as the current one too if it is better than none; the path of its own file.

    The same fit, the same file.
    """
    sha = digest(fitted.model)
    named = _File(**{name: getattr(fitted, name) for name in Fitted.__struct_fields__}, sha256=sha)
    raw = msgspec.json.format(msgspec.json.encode(named), indent=1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{fitted.sessions[-1]}-{sha[:12]}.json"
    for target in (path, folder / CURRENT) if fitted.better else (path,):
        written = target.with_suffix(".part")
        written.write_bytes(raw)
        written.replace(target)
    return path
