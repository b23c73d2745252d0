"""What the core knows -> dbt's seeds: the book judges a day by the rates, hours and limits that traded it.

Each function gives one CSV file. `make docs` writes them, a test holds them equal to the code.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from kitepilot.market.calendar import ClosedDayError, UnknownDayError, session
from kitepilot.orders.charges import RATES, Charges
from kitepilot.risk.checks.page import against, words
from kitepilot.risk.checks.table import ENTRY_CHECKS
from kitepilot.risk.profiles import LIMITS

FIRST_DAY = date(2024, 1, 1)  # before the first day anybody archived
NO_END = date(2099, 12, 31)
_HOURS = ("open_at", "continuous_close_at", "auction_continuous_close_at", "close_at")
_CUTOFFS = ("entry_cutoff_at", "square_off_at", "force_flat_at", "alarm_at")
#: Name -> what it is charged on, as the contract note groups them.
CHARGE_LINES = {
    "brokerage": "value of each executed order, capped per order; the broker's",
    "transaction": "turnover; the exchange's",
    "sebi": "turnover; the regulator's",
    "auto_square_off": "each order the broker placed itself to close a position",
    "gst": "brokerage, transaction, sebi and auto_square_off together",
    "stt": "value sold; securities transaction tax",
    "stamp": "value bought; stamp duty",
}


def charge_rates() -> str:
    """One row per change of the rates; fractions of value, amounts in paise."""
    ends = [following.since - timedelta(days=1) for following in RATES[1:]] + [NO_END]
    names = ("brokerage", "stt_sell", "transaction", "sebi", "stamp_buy", "gst")
    header = ("valid_from", "valid_to", *(f"{name}_rate" for name in names))
    rows = (
        (
            each.since,
            end,
            *(_plain(getattr(each, name)) for name in names),
            each.brokerage_cap_paise,
            each.auto_square_off_paise,
        )
        for each, end in zip(RATES, ends, strict=True)
    )
    return _csv((*header, "brokerage_cap_paise", "auto_square_off_paise"), rows)


def charge_lines() -> str:
    """One row per line of charges, in the order of the note."""
    names = [each.name for each in msgspec.structs.fields(Charges)]
    rows = ((name, place, CHARGE_LINES[name]) for place, name in enumerate(names, 1))
    return _csv(("charge_line", "position", "charged_on"), rows)


def sessions() -> str:
    """One row per calendar day that the session table covers: open or closed, its hours (UTC)."""
    return _csv(("session_date", "kind", "name", *_HOURS, *_CUTOFFS), _days())


def limits() -> str:
    """One row per limit of a risk profile."""
    header = ("limit_name", "unit", "meaning", "higher_is_looser", "denial_codes")
    rows = (
        (
            each.field,
            "paise" if each.unit == "rupees" else each.unit,
            each.meaning,
            str(each.higher_is_looser).lower(),
            " ".join(_codes_of(each.field)),
        )
        for each in LIMITS
    )
    return _csv(header, rows)


def denial_codes() -> str:
    """One row per check of an entry, in the order in which they run."""
    rows = (
        (check.code, place, *words(check), against(check).strip("`"), _limit_of(check.limit, check.code))
        for place, check in enumerate(ENTRY_CHECKS, 1)
    )
    return _csv(("denial", "position", "refused_because", "observed", "against", "limit_name"), rows)


SEEDS: dict[str, Callable[[], str]] = {
    "charge_lines": charge_lines,
    "charge_rates": charge_rates,
    "denial_codes": denial_codes,
    "limits": limits,
    "sessions": sessions,
}


def _days() -> Iterator[Sequence[Any]]:
    day = FIRST_DAY
    while True:
        try:
            of = session(day, allow_special=True)
            yield day, of.kind, of.name, *(_utc(getattr(of, name)) for name in (*_HOURS, *_CUTOFFS))
        except ClosedDayError as err:
            yield day, "closed", err.reason, *([""] * len((*_HOURS, *_CUTOFFS)))
        except UnknownDayError:
            return
        day += timedelta(days=1)


def _codes_of(limit: str) -> list[str]:
    return [check.code for check in ENTRY_CHECKS if _limit_of(check.limit, check.code) == limit]


def _limit_of(compared_with: str, code: str) -> str:
    """The limit a check compares with; empty where it is none of the profile's."""
    fields = [each.field for each in LIMITS]
    return next((name for name in (compared_with, f"{code}_paise", code) if name in fields), "")


def _utc(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def _plain(rate: Decimal) -> str:
    return f"{rate:f}"


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
