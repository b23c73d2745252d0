"""What a person writes about limits -> settings: `daily_loss=25,000`, `blocked=INFY,SBIN`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from kitepilot.config import RUPEES, ConfigError
from kitepilot.events import RiskProfile
from kitepilot.risk.profiles import LIMITS, Limit

LISTS = ("allowed", "blocked")
SIZING = "sizing"
_BY_NAME = {each.name: each for each in LIMITS}


def changed(profile: RiskProfile, words: Sequence[str]) -> RiskProfile:
    """The profile with every NAME=VALUE applied.

    Raises:
        ConfigError: no `=`, a name that is none (the nearest is suggested), or a value that is no number.
    """
    for word in words:
        name, found, value = word.partition("=")
        if not found:
            raise ConfigError(f"{word!r} is not NAME=VALUE, e.g. daily_loss=25000")
        profile = _with(profile, name.strip(), value.strip())
    return profile


def _with(profile: RiskProfile, name: str, value: str) -> RiskProfile:
    replace = msgspec.structs.replace
    if name in LISTS:
        symbols = tuple(sorted({each.strip().upper() for each in value.split(",") if each.strip()}))
        return replace(profile, **{name: symbols})
    if name == SIZING:
        return replace(profile, sizing=replace(profile.sizing, method=value, parameters={}))
    if name.startswith(f"{SIZING}."):
        parameter, scale = name.removeprefix(f"{SIZING}."), 1
        if parameter.endswith(RUPEES):
            parameter, scale = f"{parameter.removesuffix(RUPEES)}_paise", 100
        number = int(_number(name, value, scale=scale, whole=True))
        given = profile.sizing.parameters | {parameter: number}
        return replace(profile, sizing=replace(profile.sizing, parameters=given))
    limit = _BY_NAME.get(name.removesuffix(RUPEES).removesuffix("_paise"))
    if limit is None:
        raise ConfigError(_unknown(name))
    return replace(profile, limits=replace(profile.limits, **{limit.field: _amount(limit, value)}))


def _amount(limit: Limit, text: str) -> int | float:
    if limit.unit == "rupees":
        return int(_number(limit.name, text, scale=100, whole=True))
    if limit.fractional:
        return float(_number(limit.name, text))
    return int(_number(limit.name, text, whole=True))


def _number(name: str, text: str, *, scale: int = 1, whole: bool = False) -> Decimal:
    try:
        number = Decimal(text.replace(",", "").removeprefix("₹").strip()) * scale
    except InvalidOperation as err:
        raise ConfigError(f"{name}={text}: not a number") from err
    if not number.is_finite() or (whole and number != number.to_integral_value()):
        smallest = "paise at the smallest" if scale == 100 else "a whole number"
        raise ConfigError(f"{name}={text}: must be {smallest}")
    return number


def _unknown(name: str) -> str:
    names = [*_BY_NAME, *LISTS, SIZING]
    near = difflib.get_close_matches(name, names, n=1)
    return f"no limit is called {name!r}; " + (
        f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(names)}"
    )
