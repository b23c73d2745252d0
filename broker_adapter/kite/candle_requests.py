"""Asking Kite for minute candles: three a second, again where that helps, in a thread of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from broker_adapter.kite.candles import Candle, CandleError, minute_candles, minute_path, minute_query
from broker_adapter.kite.limits import RateLimits
from broker_adapter.kite.session import Session, SessionError, connection
from kitepilot.config import BrokerSection

ATTEMPTS = 8
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 60.0
NOT_SERVED = frozenset({404, 405, 410})


class UnansweredError(RuntimeError):
    """No usable answer now; a later request may get one."""


class ThrottledError(UnansweredError):
    """The broker counts more requests than we do."""


class NotServedError(RuntimeError):
    """The broker has no such thing as candles here."""


class UnbelievableError(ValueError):
    """An answer about one instrument that cannot be used; `reply` is its bytes."""

    def __init__(self, reason: str, reply: bytes) -> None:
        super().__init__(reason)
        self.reply = reply


class CandleRequests:
    """For one event loop. `load` gives the session of the day and raises `SessionError` without one."""

    def __init__(
        self,
        broker: BrokerSection,
        load: Callable[[], Session],
        limits: RateLimits,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._http = connection(broker)
        self._load = load
        self._limits = limits
        self._first_pause_s = first_pause_s
        self._thread = ThreadPoolExecutor(1, "candles")

    async def minutes(self, token: int, first: int, last: int) -> list[Candle]:
        """Candles that begin in minutes `first` to `last` (epoch seconds), both included.

        Raises:
            UnbelievableError: refused for this instrument (400), or not what was asked for.
            NotServedError: there are no candles at this address.
            UnansweredError: nobody answered well in `ATTEMPTS` attempts.
        """
        loop = asyncio.get_running_loop()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._limits.sending("candle"):
                    body = await loop.run_in_executor(self._thread, self._ask, token, first, last)
                return _believed(body, first, last)
            except UnansweredError as err:
                if isinstance(err, ThrottledError):
                    self._limits.refused("candle")
                if attempt == ATTEMPTS:
                    raise
            ceiling = min(self._first_pause_s * 2**attempt, MAX_PAUSE_S)
            await asyncio.sleep(ceiling * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Let go without waiting for a request on its way."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    def _ask(self, token: int, first: int, last: int) -> bytes:
        """One request, in the thread."""
        query = minute_query(first, last)
        try:
            reply = self._http.get(minute_path(token), params=query, headers=self._load().authorization)
        except (httpx.HTTPError, SessionError) as err:
            raise UnansweredError(f"{type(err).__name__}: {err}") from err
        if reply.status_code == httpx.codes.OK:
            return reply.content
        told = f"HTTP {reply.status_code} {reply.text:.200}"
        if reply.status_code == httpx.codes.BAD_REQUEST:  # this instrument, not the others
            raise UnbelievableError(told, reply.content)
        if reply.status_code in NOT_SERVED:
            raise NotServedError(told)
        throttled = reply.status_code == httpx.codes.TOO_MANY_REQUESTS
        raise ThrottledError(told) if throttled else UnansweredError(told)


def _believed(body: bytes, first: int, last: int) -> list[Candle]:
    try:
        return minute_candles(body, first, last)
    except CandleError as err:
        raise UnbelievableError(str(err), body) from err
