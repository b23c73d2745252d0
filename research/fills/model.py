"""The parameters of the bar fill model, and the file they come from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec


class FillModelError(ValueError):
    """The file of a fill model cannot be used; names it and what is wrong."""


class FillModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an order pays in a bar, in bps of the price: docs/reference/backtest-fills.md.

    `source`: where the numbers come from; "" where they are the assumed defaults.
    """

    half_spread_bps: float = 1.5
    impact_bps: float = 10.0
    participation_bps: int = 1_000
    queue_bps: int = 2_500
    source: str = ""

    def __post_init__(self) -> None:
        for name, most in (("half_spread_bps", 500), ("impact_bps", 5_000)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} {getattr(self, name)} is outside 0..{most}")
        for name in ("participation_bps", "queue_bps"):
            if not 0 < getattr(self, name) <= 10_000:
                raise ValueError(f"{name} {getattr(self, name)} is outside 1..10000")

    @property
    def assumption(self) -> str:
        """The sentence that a result says about its prices."""
        where = f"fitted to own fills ({self.source})" if self.source else "assumed, not fitted"
        return (
            f"no depth in bars: an order pays {self.half_spread_bps:g} bps and {self.impact_bps:g} bps x the "
            "root of its share of the bar's volume, and gets at most "
            f"{self.participation_bps / 100:g} % of it; {where}"
        )


def parse_changes(text: str, model: FillModel) -> FillModel:
    """`"half_spread_bps=2,impact_bps=20"` -> the model with these changes.

    Raises:
        FillModelError: an unknown name, not a number, or out of bounds.
    """
    changes: dict[str, float | int | str] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in model.__struct_fields__ or name == "source":
            known = ", ".join(each for each in model.__struct_fields__ if each != "source")
            raise FillModelError(f"--fill {part!r}: there are {known}, each as NAME=NUMBER")
        try:
            whole = isinstance(getattr(model, name), int)
            changes[name] = int(value) if whole else float(value)
            model = msgspec.structs.replace(model, **{name: changes[name]}, source="")
        except ValueError as err:
            raise FillModelError(f"--fill {part!r}: {err}") from err
    return model


class FittedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What `kitepilot slippage fit` writes; only the model is read for trading."""

    model: FillModel
    sha256: str


def load_model(path: Path) -> FillModel:
    """The model of a file that `kitepilot slippage fit` wrote.

    Raises:
        FillModelError: no such file, not one of ours, or changed since it was written.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=FittedFile)
    except FileNotFoundError as err:
        raise FillModelError(f"{path}: no such file; `kitepilot slippage fit` writes one") from err
    except (msgspec.DecodeError, ValueError) as err:
        raise FillModelError(f"{path}: not a fill model: {err}") from err
    if found.sha256 != digest(found.model):
        raise FillModelError(f"{path}: its numbers were changed after it was fitted; fit again")
    return found.model


def digest(model: FillModel) -> str:
    """SHA-256 of the model's own numbers."""
    return hashlib.sha256(msgspec.json.encode(model)).hexdigest()
