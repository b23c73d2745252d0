"""Historical candles from Kite into files: paced, resumed where it was left, judged before they are kept."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import httpx

from broker_adapter.kite.candle_files import CandleFiles
from broker_adapter.kite.candle_windows import MINUTES, Days, gaps, windows
from broker_adapter.kite.candles import Candle, CandleError, minute_candles
from broker_adapter.kite.limits import BlockingLimits
from broker_adapter.kite.session import Session, SessionError
from kitepilot.market import calendar
from kitepilot.market.calendar import NS_PER_S

ATTEMPTS = 5
FIRST_PAUSE_S = 0.5
TIMEOUT_S = 30.0
MAX_REPLY_BYTES = 16 << 20  # 60 days of minutes have about 1.6 MB

Fetch = Callable[[int, str, Days], list[Candle]]
Sleep = Callable[[float], None]


class DownloadError(RuntimeError):
    """The broker does not give the candles; what was fetched is kept, and the next download goes on there."""


@dataclass
class Tally:
    """What a download did."""

    requests: int = 0
    candles: int = 0  # in the replies
    files: int = 0  # new or changed


class Source:
    """Kite's historical endpoint under one session."""

    def __init__(
        self, http: httpx.Client, session: Session, limits: BlockingLimits, sleep: Sleep = time.sleep
    ) -> None:
        self._http = http
        self._session = session
        self._limits = limits
        self._sleep = sleep

    def __call__(self, token: int, interval: str, days: Days) -> list[Candle]:
        """All candles that begin on `days`. Reads repeat: reading twice costs nothing.

        Raises:
            SessionError: the session is refused. DownloadError: no usable answer after some attempts.
        """
        first = calendar.ist_ns(days.first, "00:00") // NS_PER_S
        last = calendar.ist_ns(days.last, "23:59") // NS_PER_S
        query = {"from": f"{days.first} 00:00:00", "to": f"{days.last} 23:59:59"}
        trouble = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.0))
            reply = self._ask(f"/instruments/historical/{token}/{interval}", query)
            if isinstance(reply, str):
                trouble = reply
                continue
            try:
                return minute_candles(reply, first, last, MAX_REPLY_BYTES)
            except CandleError as err:
                trouble = str(err)
        raise DownloadError(f"candles of {token}, {days.first} to {days.last}: {trouble}")

    def _ask(self, path: str, query: dict[str, str]) -> bytes | str:
        """The body, or why there is none and another attempt may help."""
        try:
            with self._limits.sending("candle"):
                reply = self._http.get(
                    path, params=query, headers=self._session.authorization, timeout=TIMEOUT_S
                )
        except httpx.HTTPError as err:
            return f"{type(err).__name__}"
        if reply.status_code == 200:
            return reply.content
        if reply.status_code == 403:
            raise SessionError("the broker refuses the session (403): a login is needed (`kitepilot login`)")
        if reply.status_code == 429 or reply.status_code >= 500:
            return f"the broker answered {reply.status_code}"
        raise DownloadError(f"the broker answered {reply.status_code} to {path}: {reply.text[:120]}")


def download(
    fetch: Fetch, files: CandleFiles, symbol: str, token: int, wanted: Days, settled_before: date
) -> Tally:
    """Fetch what no file covers yet, a window at a time; each is on disk before the next is asked for.

    Raises:
        SessionError, DownloadError: what was fetched before is kept. CandleFileError: a damaged file.
    """
    assert files.interval in MINUTES
    tally = Tally()
    for window in windows(files.interval, wanted):
        kept = files.read(symbol, window)
        fresh = kept
        for missing in gaps(window, wanted, kept.covered):
            candles = fetch(token, files.interval, missing)
            tally.requests += 1
            tally.candles += len(candles)
            fresh = fresh.with_days(missing, candles, settled_before)
        if fresh != kept:
            files.write(symbol, token, fresh)
            tally.files += 1
    return tally
