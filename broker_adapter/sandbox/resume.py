"""A feed and the requests of a session that broke off -> the exchange as it stood, and what is to play.

The market is played again from its beginning, in silence: whoever was told something has been told. That
costs what generating the day so far costs; see docs/adr/0007.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from broker_adapter.sandbox.errors import KiteError
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.feed.port import Slice
from broker_adapter.sandbox.input_log import Asked, CancelAsked, Entry, ModifyAsked, PlaceAsked, Played
from kitepilot.config import ConfigError
from kitepilot.market.ticks import PACKET_DTYPE


def resume(exchange: Exchange, slices: Iterator[Slice], entries: Sequence[Entry]) -> Iterator[Slice]:
    """Bring a fresh exchange to where the last one stood; returns the slices from there on.

    Args:
        slices: the session from its beginning.
        entries: what the last one recorded, in order; no request is ahead of the last `Played` in time.

    Raises:
        ConfigError: the same requests do not come to the same book: another feed or another version.
    """
    number = max((n for n, entry in enumerate(entries) if isinstance(entry, Played)), default=None)
    if number is None:
        _ask(exchange, _asked(entries))
        return slices
    stood, waiting, after = entries[number], _asked(entries[:number]), _asked(entries[number:])
    assert isinstance(stood, Played)
    _ask(exchange, waiting)
    rest: Iterator[Slice] = iter(())
    for piece in slices:
        left = _play(exchange, plain(piece), waiting, stood.until)
        if left is not None or exchange.played >= stood.until:
            rest = itertools.chain([left] if left is not None else [], slices)
            break
    _compare(exchange, waiting, stood)
    _ask(exchange, after)
    exchange.updates.clear()
    return rest


def plain(piece: Slice) -> Slice:
    """With packets in Kite's byte order: numpy's concatenate and friends turn them native without a word."""
    return piece._replace(packets=piece.packets.astype(PACKET_DTYPE, copy=False))


def _play(exchange: Exchange, piece: Slice, waiting: deque[Asked], until: int) -> Slice | None:
    """One slice up to `until` at most, with the requests that came meanwhile; what is left of it."""
    end, done = min(piece.until, until), 0
    while exchange.played < end:
        stop = min(end, waiting[0].played) if waiting else end
        upto = int(np.searchsorted(piece.sent_at, stop, side="left"))
        exchange.advance(piece.packets[done:upto], piece.sent_at[done:upto], stop)
        done = upto
        _ask(exchange, waiting)
    if end < piece.until:
        return piece._replace(packets=piece.packets[done:], sent_at=piece.sent_at[done:])
    for packet in piece.raw:
        exchange.market.apply_raw(packet)
    return None


def _asked(entries: Sequence[Entry]) -> deque[Asked]:
    return deque(entry for entry in entries if isinstance(entry, PlaceAsked | ModifyAsked | CancelAsked))


def _ask(exchange: Exchange, waiting: deque[Asked]) -> None:
    while waiting and waiting[0].played <= exchange.played:
        asked = waiting.popleft()
        try:
            exchange.ask(asked)
        except KiteError as err:
            raise _different(f"{asked.order_id}: {err.message}") from err


def _compare(exchange: Exchange, waiting: deque[Asked], stood: Played) -> None:
    book = exchange.book
    if waiting:
        raise _different(f"{len(waiting)} requests lie after the end of the market")
    if (len(book.orders), len(book.trades)) != (stood.orders, stood.trades):
        raise _different(
            f"{len(book.orders)} orders and {len(book.trades)} trades, "
            f"not {stood.orders} and {stood.trades} as before"
        )


def _different(what: str) -> ConfigError:
    return ConfigError(
        f"the session cannot be resumed: played again it comes to something else ({what}). "
        "The feed or KitePilot has changed since it began; begin it again in another folder"
    )
