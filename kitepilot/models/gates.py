"""What a model must show before it is promoted: one function per gate, each with its numbers and a reason.

    (evidence, bounds, target stage) -> a table of verdicts; all must pass

Pure: what was measured comes in as `Evidence`, what is asked for as `Bounds` (configuration, `models.gates`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from kitepilot.models.stages import Stage


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`models.gates`: what a promotion asks for.

    `trade_net_bps`: mean result per out-of-sample trade after costs, at least. `calibration_error` and
    `brier_ratio` (Brier score over that of always saying the base rate): at most. Sessions are those in which
    the model was scored live, without (shadow) or with orders of its own (canary).
    """

    folds: int = 5
    trades: int = 200
    trade_net_bps: float = 0.0
    winning_folds_share: float = 0.5
    calibration_error: float = 0.05
    brier_ratio: float = 1.0
    shadow_sessions: int = 5
    canary_sessions: int = 3
    canary_share: float = 0.25

    def __post_init__(self) -> None:
        for name in ("folds", "trades", "shadow_sessions", "canary_sessions"):
            if getattr(self, name) < 1:
                raise ValueError(f"models.gates.{name} {getattr(self, name)} must be at least 1")
        for name in ("winning_folds_share", "calibration_error", "canary_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"models.gates.{name} {getattr(self, name)} must be 0 to 1")
        if not math.isfinite(self.trade_net_bps) or not 0.0 < self.brier_ratio <= 2.0:
            raise ValueError("models.gates.trade_net_bps must be a number and brier_ratio above 0, at most 2")


class LeakWord(msgspec.Struct, frozen=True):
    """What a leak check said, and of what: hashes of the features' code and of the data."""

    passed: bool
    features_hash: str
    data_hash: str
    code_version: str = ""


class OutOfSample(msgspec.Struct, frozen=True):
    """Over all test rows of a walk-forward. bps after costs per trade, one number per fold; NaN: no trade."""

    fold_net_bps: tuple[float, ...]
    trades: int
    net_bps: float
    brier: float
    base_brier: float
    calibration_error: float


class ScoredSession(msgspec.Struct, frozen=True):
    """One session in which the model scored live. `role` is shadow, canary or live."""

    run_id: str
    session: str
    role: str
    rows: int
    brier: float
    base_brier: float
    drifted: bool
    failed: bool = False  # switched off during the day


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known about one model."""

    features_hash: str
    data_hash: str
    leak: LeakWord | None = None
    out_of_sample: OutOfSample | None = None
    sessions: tuple[ScoredSession, ...] = ()
    canary_share: float = 0.0


class Verdict(NamedTuple):
    """One gate's word. `observed` and `required` are texts with their units."""

    gate: str
    passed: bool
    observed: str
    required: str
    reason: str  # "" when it passed


UNKNOWN = "unknown"
UNMEASURED = "nobody has measured it: `kitepilot train` does, by a walk-forward"
Found = tuple[bool, str, str, str]
Gate = Callable[[Evidence, Bounds], Found]


def leak_check(seen: Evidence, _bounds: Bounds) -> Found:
    """A leak check has passed on the very features and data that the model was trained on."""
    need, word = "passed, same features and data", seen.leak
    if word is None:
        return False, "none", need, "no leak check is known: run `kitepilot leak-check`, give its report"
    if not word.passed:
        return False, "failed", need, "the leak check found a leak: the results below cannot be believed"
    if not seen.features_hash or word.features_hash != seen.features_hash:
        return False, "other features", need, "it checked other features than the model was trained on"
    if not seen.data_hash or word.data_hash != seen.data_hash:
        return False, "other data", need, "it checked other data than the model was trained on"
    return True, "passed", need, ""


def enough_folds(seen: Evidence, bounds: Bounds) -> Found:
    """Out of sample over several periods, not one lucky one."""
    folds = len(seen.out_of_sample.fold_net_bps) if seen.out_of_sample else 0
    return folds >= bounds.folds, f"{folds}", f"{bounds.folds} folds", "too few test periods say nothing"


def enough_trades(seen: Evidence, bounds: Bounds) -> Found:
    """As many trades as a mean needs."""
    trades = seen.out_of_sample.trades if seen.out_of_sample else 0
    return trades >= bounds.trades, f"{trades}", f"{bounds.trades} trades", "too few trades for a mean"


def net_of_costs(seen: Evidence, bounds: Bounds) -> Found:
    """Out of sample and after costs it has earned enough per trade."""
    net = seen.out_of_sample.net_bps if seen.out_of_sample else math.nan
    need = f"above {bounds.trade_net_bps:g} bps"
    return net > bounds.trade_net_bps, _bps(net), need, "after costs it has not earned enough"


def winning_folds(seen: Evidence, bounds: Bounds) -> Found:
    """It earned in enough of its test periods; one without a trade has not earned."""
    nets = seen.out_of_sample.fold_net_bps if seen.out_of_sample else ()
    share = sum(net > 0 for net in nets) / len(nets) if nets else 0.0
    need = f"{bounds.winning_folds_share:.0%} of folds"
    return (
        bool(nets) and share >= bounds.winning_folds_share,
        f"{share:.0%}",
        need,
        "it lost in too many folds",
    )


def calibrated(seen: Evidence, bounds: Bounds) -> Found:
    """A score of 0.6 comes true six times in ten, near enough."""
    error = seen.out_of_sample.calibration_error if seen.out_of_sample else math.nan
    need = f"at most {bounds.calibration_error:g}"
    return error <= bounds.calibration_error, _number(error), need, "its scores are not probabilities"


def better_than_base_rate(seen: Evidence, bounds: Bounds) -> Found:
    """It knows more than the share of true labels."""
    found = seen.out_of_sample
    ratio = found.brier / found.base_brier if found and found.base_brier > 0 else math.nan
    need = f"Brier at most {bounds.brier_ratio:g} of the base rate's"
    return ratio <= bounds.brier_ratio, _number(ratio), need, "it says less than the base rate does"


def shadow_sessions(seen: Evidence, bounds: Bounds) -> Found:
    """It was scored live, without orders, for enough sessions and was not switched off in one."""
    return _sessions(seen, "shadow", bounds.shadow_sessions)


def canary_sessions(seen: Evidence, bounds: Bounds) -> Found:
    """It traded its share for enough sessions."""
    return _sessions(seen, "canary", bounds.canary_sessions)


def no_drift(seen: Evidence, bounds: Bounds) -> Found:
    """In none of the newest sessions it was judged by was it found to have drifted."""
    newest = _by_date(seen, ("shadow", "canary"))[-max(bounds.shadow_sessions, bounds.canary_sessions) :]
    days = [each.session for each in newest if each.drifted]
    return (
        bool(newest) and not days,
        f"{len(days)} of {len(newest)}",
        "no session",
        (f"its scores drifted on {', '.join(days)}" if days else "no session has judged it yet"),
    )


def canary_share(seen: Evidence, bounds: Bounds) -> Found:
    """A canary trades a small share, and some."""
    share = seen.canary_share
    need = f"above 0, at most {bounds.canary_share:.0%}"
    why = "models.canary_share is not a small share"
    return 0.0 < share <= bounds.canary_share, f"{share:.0%}", need, why


OFFLINE = (
    *(leak_check, enough_folds, enough_trades, net_of_costs),
    *(winning_folds, calibrated, better_than_base_rate),
)
#: Which gates stand before which stage, in the order in which they are told.
GATES: dict[Stage, tuple[Gate, ...]] = {
    Stage.SHADOW: OFFLINE,
    Stage.CANARY: (*OFFLINE, shadow_sessions, no_drift, canary_share),
    Stage.LIVE: (*OFFLINE, shadow_sessions, canary_sessions, no_drift),
}


def judge(seen: Evidence, bounds: Bounds, to: Stage) -> list[Verdict]:
    """Every gate before `to`, none left out: a refusal shows all the numbers."""
    return [_verdict(gate, seen, bounds) for gate in GATES.get(to, ())]


def name_of(gate: Gate) -> str:
    return str(getattr(gate, "__name__", "gate"))


def _verdict(gate: Gate, seen: Evidence, bounds: Bounds) -> Verdict:
    passed, observed, required, reason = gate(seen, bounds)
    reason = UNMEASURED if observed == UNKNOWN else reason
    return Verdict(name_of(gate), passed, observed, required, "" if passed else reason)


def _by_date(seen: Evidence, roles: tuple[str, ...]) -> list[ScoredSession]:
    """One entry per date and role, the newest run of it."""
    found = {
        (each.session, each.role): each for each in seen.sessions if each.role in roles and each.rows > 0
    }
    return [found[key] for key in sorted(found)]


def _sessions(seen: Evidence, role: str, need: int) -> Found:
    found = _by_date(seen, (role,))
    whole = [each for each in found if not each.failed]
    why = f"scored live as {role} in too few sessions"
    if len(found) > len(whole):
        why += f" ({len(found) - len(whole)} more ended with it switched off)"
    return len(whole) >= need, f"{len(whole)}", f"{need} sessions as {role}", why


def _bps(value: float) -> str:
    return UNKNOWN if math.isnan(value) else f"{value:.2f} bps"


def _number(value: float) -> str:
    return UNKNOWN if math.isnan(value) else f"{value:.4f}"
