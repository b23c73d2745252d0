"""A small market under the symbols and tokens that Kite's own SDK suites ask for."""

from __future__ import annotations

import struct

import numpy as np
from small_market import OPEN, SESSION, S, SmallMarket, packet

from broker_adapter.sandbox.feed.port import FeedInstrument

INFY = FeedInstrument(408065, 1594, "INFY", "INFOSYS", 5, 1, 1_500_00, True, 1_350_00, 1_650_00)
RELIANCE = FeedInstrument(738561, 2885, "RELIANCE", "RELIANCE", 5, 1, 900_00, True, 810_00, 990_00)
NIFTY = FeedInstrument(256265, 1001, "NIFTY 50", "NIFTY 50", 0, 0, 25_000_00, False, 0, 0, "INDICES")


def _share(instrument: FeedInstrument, at: int, volume: int) -> np.ndarray:
    last = instrument.previous_close_paise
    tick = instrument.tick_size_paise
    row = packet(
        instrument,
        last,
        [(last - tick * n, 500) for n in range(1, 6)],
        [(last + tick * n, 500) for n in range(1, 6)],
    )
    row["exchange_time"] = row["last_trade_time"] = at // S
    row["volume"] = volume
    return row


def _index(at: int) -> bytes:
    last = NIFTY.previous_close_paise
    return struct.pack(">8I", NIFTY.token, last, last + 10, last - 10, last, last - 500, 500, at // S)


def well_known_market(minutes: int = 30) -> SmallMarket:
    """Both shares and the index speak every ten seconds from the open on."""
    sends: list[tuple[int, np.ndarray | bytes]] = []
    for number in range(minutes * 6):
        at = OPEN + S + number * 10 * S
        sends += [(at, _share(row, at, 1_000 + 10 * number)) for row in (INFY, RELIANCE)]
        sends.append((at, _index(at)))
    return SmallMarket(
        sends,
        begins_at=SESSION.pre_open_at,
        ends_at=OPEN + minutes * 60 * S,
        instruments=(INFY, RELIANCE),
        indices=(NIFTY,),
        description="well-known symbols",
    )
