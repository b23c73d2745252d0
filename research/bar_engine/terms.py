"""A date, its bars and the calendar -> the session as the risk fold and the broker know it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.hours import Hours
from kitepilot.events import DecisionParameters
from kitepilot.market import calendar
from kitepilot.market.calendar import Session
from kitepilot.market.instruments import Instrument
from research.bar_engine.plan import BarPlan
from research.bars import MINUTE_NS, SessionBars
from research.charge_rates import charged_as_on
from research.closing_auctions import in_auction

SEGMENT = "NSE"
AUCTIONS = "stocks have a closing auction, by the day's instruments file or for want of a trade after 15:15"


@dataclass(frozen=True, eq=False)
class SessionTerms:
    """One session before it is traded.

    Attributes:
        rows: the minutes of the bars that lie in the session, in order, the silent ones included.
        tradable: bool[m, n], where an order may meet the bar: present, traded, before the continuous close.
        broker_at: int64[n] ns, when the broker begins to close what is open.
    """

    session: Session
    parameters: DecisionParameters
    rows: tuple[int, ...]
    tradable: npt.NDArray[np.bool_]
    broker_at: npt.NDArray[np.int64]


def terms_of(
    bars: SessionBars, plan: BarPlan, strategies: tuple[str, ...], noted: Counter[str]
) -> SessionTerms:
    """The calendar's word on the session. `noted` counts what had to be assumed.

    Raises:
        CalendarError: NSE was closed that day, or open for a special session that is not asked for.
    """
    session = calendar.session(bars.session, allow_special=plan.special)
    auction = in_auction(bars, session)
    if auction.any():
        noted[AUCTIONS] += int(auction.sum())
    instruments = tuple(
        calendar.terms(session, _instrument(token, symbol, tick, closing_auction=bool(auctioned)))
        for token, symbol, tick, auctioned in zip(
            bars.tokens.tolist(), bars.symbols, bars.tick_size_paise.tolist(), auction.tolist(), strict=True
        )
    )
    instruments = tuple(msgspec.structs.replace(each, margin_bps=plan.margin_bps) for each in instruments)
    hours = Hours(session)
    closes = np.array([each.continuous_close_at for each in instruments], dtype=np.int64)
    before_close = bars.close_at[:, None] <= closes[None, :]
    parameters = DecisionParameters(
        # The fold looks at this date for nothing but the charge rates in force.
        session_date=charged_as_on(bars.session, plan.rates_of).isoformat(),
        open_at=session.open_at,
        close_at=session.close_at,
        instruments=instruments,
        profile=plan.profile,
        strategies=strategies,
    )
    return SessionTerms(
        session=session,
        parameters=parameters,
        rows=_rows(bars, session, noted),
        tradable=bars.present & (bars.volume > 0) & before_close,
        broker_at=np.where(auction, hours.square_off_at(True), hours.square_off_at(False)),
    )


def _rows(bars: SessionBars, session: Session, noted: Counter[str]) -> tuple[int, ...]:
    """Minutes inside the session's windows."""
    inside = np.zeros(len(bars.close_at), dtype=bool)
    for begin, end in session.windows:
        inside |= (bars.close_at - MINUTE_NS >= begin) & (bars.close_at <= end)
    shown = bars.present.any(axis=1)
    if outside := int((shown & ~inside).sum()):
        noted["minutes outside the session's hours are not read"] += outside
    if silent := int((inside & ~shown).sum()):
        noted["minutes without a bar of any instrument are passed over"] += silent
    if absent := int((~bars.present[inside & shown]).sum()):
        noted["bars that are missing fill nothing"] += absent
    return tuple(np.flatnonzero(inside).tolist())


def _instrument(token: int, symbol: str, tick: int, *, closing_auction: bool) -> Instrument:
    return Instrument(
        token=token,
        exchange_token=token >> 8,
        tradingsymbol=symbol,
        name=symbol,
        tick_size_paise=tick,
        lot_size=1,
        segment=SEGMENT,
        instrument_type="EQ",
        closing_auction=closing_auction,
    )
