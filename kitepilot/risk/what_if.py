"""Verdicts that were given -> what another profile would have said to the same orders.

A verdict keeps every number that it compared, so the numbers are compared again with other limits. Each order
is judged as it was asked for and as the account stood then: a trade that would have been refused is not taken
out of what came after it, and prices and pauses (`UNCOMPARED`) stay as they were. A limit that the sizing
keeps to by itself (`CUT_TO`) makes an order smaller, it does not refuse it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kitepilot.events import Check, Purpose, RiskLimits, RiskProfile, Verdict
from kitepilot.risk.checks import ENTRY_CHECKS, Denial
from kitepilot.risk.profiles import LIMITS

#: code -> the limit that its check compares. The band is kept in paise of a price: see `_band`.
COMPARED: dict[str, str] = {
    each.code: each.limit for each in ENTRY_CHECKS if each.limit in RiskLimits.__struct_fields__
}
#: Limits that no recorded number stands against: they shape an order, or begin a pause, before it is judged.
UNCOMPARED = tuple(each.name for each in LIMITS if each.field not in COMPARED.values())

#: Codes of the limits that `sizing.fit` cuts an order to.
CUT_TO = (Denial.ORDER_QUANTITY, Denial.VOLUME_SHARE, Denial.ORDER_VALUE, Denial.TRADE_RISK)

_AT_LEAST = {each.field for each in LIMITS if not each.higher_is_looser}
_BELOW = (Denial.DRAWDOWN, Denial.DAILY_LOSS)  # reached is past


@dataclass(frozen=True)
class Difference:
    """An entry that would have been answered otherwise. `was`, `would_be`: denial codes, "" is approved.

    `smaller`: the first code of `CUT_TO` that it is past, "" when its size stays. `observed` against `limit`
    is the check that decides now; both 0 where none does.
    """

    verdict: Verdict
    was: str
    would_be: str
    smaller: str = ""
    observed: float = 0.0
    limit: float = 0.0


@dataclass(frozen=True)
class Preview:
    """All entries judged again; `refused` and `smaller` were approved, `let_through` were not."""

    judged: int
    refused: tuple[Difference, ...]
    smaller: tuple[Difference, ...]
    let_through: tuple[Difference, ...]
    otherwise: int  # refused then and now, by another check


def preview(verdicts: Iterable[Verdict], present: RiskProfile, wanted: RiskProfile) -> Preview:
    """`present`: the profile under which the verdicts were given."""
    judged, otherwise = 0, 0
    refused: list[Difference] = []
    smaller: list[Difference] = []
    let_through: list[Difference] = []
    for verdict in verdicts:
        if verdict.purpose is not Purpose.ENTRY:
            continue  # exits are never refused
        judged += 1
        found = again(verdict, present, wanted)
        if not found.was and found.would_be:
            refused.append(found)
        elif not found.was and found.smaller:
            smaller.append(found)
        elif found.was and not found.would_be:
            let_through.append(found)
        else:
            otherwise += found.was != found.would_be
    return Preview(judged, tuple(refused), tuple(smaller), tuple(let_through), otherwise)


def again(verdict: Verdict, present: RiskProfile, wanted: RiskProfile) -> Difference:
    """One verdict with its numbers compared anew, in the order of the checks."""
    cut: tuple[str, float, float] = ("", 0.0, 0.0)
    for check in verdict.checks:
        passed, limit = _compared(check, verdict, present, wanted)
        if passed:
            continue
        if check.passed and check.code in CUT_TO:
            cut = cut if cut[0] else (check.code, check.observed, limit)
            continue
        return Difference(verdict, verdict.denial, check.code, "", check.observed, limit)
    return Difference(verdict, verdict.denial, "", *cut)


def _compared(
    check: Check, verdict: Verdict, present: RiskProfile, wanted: RiskProfile
) -> tuple[bool, float]:
    """Whether it passes now, and against what."""
    if check.code == Denial.NOT_ALLOWED:
        return not wanted.allowed or verdict.tradingsymbol in wanted.allowed, 1.0
    if check.code == Denial.BLOCKED:
        return verdict.tradingsymbol not in wanted.blocked, 1.0
    field = COMPARED.get(check.code)
    if field is None or getattr(present.limits, field) == getattr(wanted.limits, field):
        return check.passed, check.limit
    limit = float(getattr(wanted.limits, field))
    if check.code == Denial.PRICE_BAND:
        limit = _band(check.limit, present.limits.price_band_bps, wanted.limits.price_band_bps)
    if _unknown(check, field):
        return check.passed, limit
    if field in _AT_LEAST:
        return check.observed >= limit, limit
    return (check.observed < limit if check.code in _BELOW else check.observed <= limit), limit


def _unknown(check: Check, field: str) -> bool:
    """Nothing was measured: a clock never compared is -1; no gap, no circuit are told as the limit itself."""
    if check.code == Denial.CLOCK_SKEW:
        return check.observed < 0
    return field in _AT_LEAST and check.passed and check.observed == check.limit


def _band(paise: float, bps: int, wanted_bps: int) -> float:
    """The band in paise of the price it was made from, to the paisa."""
    return float(int(paise * wanted_bps / bps)) if bps else 0.0
