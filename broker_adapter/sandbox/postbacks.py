"""Order updates -> HTTP postbacks, as Kite posts them to the URL of an app's developer console.

Posted: COMPLETE, CANCELLED, REJECTED and UPDATE (partly filled, modified) of orders placed over the API; not
the broker's own square-off (staff answer, Nov 2022). Each is posted once: whether Kite tries again is not
documented. A receiver that is slow or away costs nothing but its postbacks: the exchange never waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import urllib.parse
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import httpx
import msgspec

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.orders import Order
from kitepilot.config import ConfigError

MAX_WAITING = 1_000
TIMEOUT_S = 3.0
Told = Callable[[Sequence[Order], int], Sequence[Order]]

log = logging.getLogger(__name__)


def postback_body(order: Order, api_secret: str) -> bytes:
    """Raw JSON with its checksum: SHA-256 of order id, order time as printed, and the secret."""
    row = rows.postback(order)
    signed = f"{row['order_id']}{row['order_timestamp']}{api_secret}"
    row["checksum"] = hashlib.sha256(signed.encode()).hexdigest()
    return msgspec.json.encode(row)


class Postbacks:
    """A bounded queue and one sender; when it is full the oldest postback is dropped and counted.

    Args:
        url: where to post; empty for nowhere.

    Raises:
        ConfigError: a URL that is not http or https.
    """

    def __init__(self, url: str, api_secret: str, timeout_s: float = TIMEOUT_S) -> None:
        if url and urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise ConfigError(f"postback URL {url}: expected http://host/path or https://host/path")
        self._url = url
        self._secret = api_secret
        self._timeout_s = timeout_s
        self._waiting: deque[bytes] = deque()
        self._more = asyncio.Event()
        self._away = False
        self.posted = self.failed = self.dropped = 0

    def tell(self, orders: Iterable[Order]) -> None:
        """Take updates; returns at once."""
        if not self._url:
            return
        for order in orders:
            if order.by_broker:
                continue
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(postback_body(order, self._secret))
        self._more.set()

    def after(self, told: Told) -> Told:
        """`told`, and what it tells is posted too."""

        def also_posted(updates: Sequence[Order], now: int) -> Sequence[Order]:
            shown = told(updates, now)
            self.tell(shown)
            return shown

        return also_posted

    async def run(self) -> None:
        """Post what waits, one after another in order, until cancelled."""
        async with httpx.AsyncClient(timeout=self._timeout_s, trust_env=False) as http:
            while True:
                await self._more.wait()
                self._more.clear()
                while self._waiting:
                    await self._post(http, self._waiting.popleft())

    async def _post(self, http: httpx.AsyncClient, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await http.post(self._url, content=body, headers=headers)
            reply.raise_for_status()
        except (httpx.HTTPError, TimeoutError) as err:
            self.failed += 1
            if not self._away:  # once for a receiver that stays away, not once for every order of the day
                log.warning("postbacks to %s are not taken: %r", self._url, err)
            self._away = True
        else:
            self.posted += 1
            self._away = False


@contextlib.asynccontextmanager
async def posting(postbacks: Postbacks) -> AsyncIterator[None]:
    """The sender runs inside the block; what still waits at its end is not posted."""
    sender = asyncio.create_task(postbacks.run())
    try:
        yield
    finally:
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
