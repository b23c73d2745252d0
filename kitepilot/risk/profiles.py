"""What each limit means and which way it is tighter: profiles are compared, checked and explained by it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import msgspec

from kitepilot.events import RiskLimits, RiskProfile
from kitepilot.risk import sizing

FULL_BAND_BPS = 10_000
_TYPES = {each.name: each.type for each in msgspec.structs.fields(RiskLimits)}


@dataclass(frozen=True)
class Limit:
    """One limit of `RiskLimits`: `field` is the struct's name for it, `name` the owner's."""

    field: str
    unit: str  # rupees | shares | bps | ms | s | count
    meaning: str
    higher_is_looser: bool = True
    may_be_zero: bool = False

    @property
    def name(self) -> str:
        return self.field.removesuffix("_paise")

    @property
    def fractional(self) -> bool:
        """Whether it may lie between two whole numbers of its unit (rupees have paise)."""
        return _TYPES[self.field] is float

    def value(self, limits: RiskLimits) -> float:
        """In the owner's unit: amounts in rupees."""
        value: float = getattr(limits, self.field)
        return value / 100 if self.unit == "rupees" else value

    def looser(self, limits: RiskLimits, than: RiskLimits) -> bool:
        mine, ceiling = getattr(limits, self.field), getattr(than, self.field)
        return bool(mine > ceiling if self.higher_is_looser else mine < ceiling)

    def text(self, limits: RiskLimits) -> str:
        """As a person writes it."""
        value = self.value(limits)
        if self.unit == "rupees":
            return f"₹{value:,.2f}".removesuffix(".00")
        return f"{value:,}".removesuffix(".0") + ("" if self.unit == "count" else f" {self.unit}")


LIMITS = (
    Limit("daily_loss_paise", "rupees", "what the day may lose, open positions and working orders included"),
    Limit("drawdown_paise", "rupees", "how far the day's result may fall below its best"),
    Limit("trade_risk_paise", "rupees", "what one trade may lose at its stop, charges included"),
    Limit("instrument_exposure_paise", "rupees", "held and asked for in one instrument"),
    Limit("gross_exposure_paise", "rupees", "held and asked for in all instruments, both sides added"),
    Limit("net_exposure_paise", "rupees", "the difference of what is long and what is short"),
    Limit("sector_exposure_paise", "rupees", "held and asked for in one sector"),
    Limit("order_value_paise", "rupees", "of one entry"),
    Limit("order_quantity", "shares", "of one entry"),
    Limit("volume_share_bps", "bps", "of one entry, of the instrument's average daily volume"),
    Limit("open_positions", "count", "instruments held or asked for at once"),
    Limit(
        "orders_per_second",
        "count",
        "orders in a calendar second, past which no entry goes; exits count and never wait for it",
    ),
    Limit("orders_per_minute", "count", "orders in a calendar minute"),
    Limit("orders_per_day", "count", "orders in a day"),
    Limit("trades_per_day", "count", "entries in a day"),
    Limit("trades_per_instrument", "count", "entries in a day on one instrument"),
    Limit("loss_streak", "count", "losing trades in a row, then a pause"),
    Limit("loss_pause_s", "s", "how long that pause lasts", higher_is_looser=False),
    Limit("price_band_bps", "bps", "how far any price may be from the last one"),
    Limit("stale_quote_s", "s", "age of the quote an entry rests on"),
    Limit("spread_bps", "bps", "between bid and ask at an entry"),
    Limit("circuit_distance_bps", "bps", "from a circuit limit at an entry", higher_is_looser=False),
    Limit("cash_reserve_paise", "rupees", "of the margin, what entries never use", higher_is_looser=False),
    Limit("feed_settle_s", "s", "without entries after a gap in the feed", higher_is_looser=False),
    Limit("clock_skew_ms", "ms", "between this machine's clock and the broker's"),
    Limit("model_age_s", "s", "age of the score an entry rests on"),
    Limit("entry_protection_bps", "bps", "how far past the touch an entry may pay", may_be_zero=True),
    Limit("exit_protection_bps", "bps", "how far past the last price an exit's first rung goes"),
)


def looser_than(limits: RiskLimits, ceiling: RiskLimits) -> tuple[Limit, ...]:
    """The limits that allow more than the ceiling does."""
    return tuple(each for each in LIMITS if each.looser(limits, ceiling))


def past_configuration(profile: RiskProfile, configured: RiskProfile) -> str:
    """Everything that a profile allows and the configuration does not, "" when there is nothing."""
    freed = set(configured.blocked) - set(profile.blocked)
    let_in = set(profile.allowed) - set(configured.allowed) if configured.allowed else set()
    found = [beyond(profile.limits, configured.limits)]
    if freed:
        found.append(f"not blocked: {', '.join(sorted(freed))}")
    if let_in or (configured.allowed and not profile.allowed):
        found.append(f"allowed: {', '.join(sorted(let_in)) or 'everything'}")
    return "; ".join(filter(None, found))


def beyond(limits: RiskLimits, ceiling: RiskLimits) -> str:
    """Every limit looser than the ceiling with both numbers, "" when there is none."""
    return ", ".join(
        f"{each.name} {each.text(limits)} (the configuration allows {each.text(ceiling)})"
        for each in looser_than(limits, ceiling)
    )


def flaw(profile: RiskProfile) -> str:
    """Why a profile can never be in force, "" when it can."""
    if profile.version < 1:
        return f"version {profile.version}: versions count from 1"
    return limits_flaw(profile.limits) or sizing.flaw(profile.sizing)


def limits_flaw(limits: RiskLimits) -> str:
    for each in LIMITS:
        value = getattr(limits, each.field)
        if not isfinite(value) or value < 0 or (value == 0 and not each.may_be_zero):
            return f"{each.name} {each.text(limits)} must be above 0"
    if limits.price_band_bps > FULL_BAND_BPS:
        return f"price_band_bps {limits.price_band_bps} must be at most {FULL_BAND_BPS}"
    if limits.exit_protection_bps > limits.price_band_bps:
        return (
            f"exit_protection_bps {limits.exit_protection_bps} must be 1 to {limits.price_band_bps}, "
            "price_band_bps: a market exit past the band is not sent"
        )
    return ""


def activation_refusal(profile: RiskProfile, present: RiskProfile, ceiling: RiskLimits) -> str:
    """Why the fold does not take a version that the owner activates, "" when it does."""
    if profile.version <= present.version:
        return f"version {present.version} is in force already"
    if past := beyond(profile.limits, ceiling):
        return f"looser than the run's configuration: {past}"
    return flaw(profile)
