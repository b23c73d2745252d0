"""Which stocks of a session have a closing auction: they stop trading continuously before the others.

The day's instruments file says it (`kitepilot instruments` keeps one a day), as it does for the live desk.
Where there is none, whole sessions of bars tell: a stock with an auction has no trade after it begins. That
is read once, where bars come in, and stays with the session however it is cut: a feature that looked itself
would know at 09:16 whether there is going to be a trade at 15:20.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from kitepilot.market.calendar import Session
from kitepilot.market.listings import closing_auction_tokens
from research.bars import SessionBars
from research.datasets.manifest import DatasetError

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def listed_auctions(folder: Path, day: date) -> frozenset[int] | None:
    """Tokens by the instruments file of that day in `folder`; None where there is none.

    Raises:
        DatasetError: the file is damaged.
    """
    path = folder / f"{day}.parquet"
    try:
        return closing_auction_tokens(pq.read_table(path, columns=["instrument_token", "closing_auction"]))
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException) as err:
        raise DatasetError(
            f"{path} is damaged ({str(err).splitlines()[0][:150]}): remove it, or fetch that day's again"
        ) from err


def shown_auctions(bars: SessionBars, session: Session) -> frozenset[int]:
    """Tokens of what has no trade after the auction begins, by a whole session of bars."""
    early = session.auction_continuous_close_at
    if early >= session.continuous_close_at:
        return frozenset()
    later = bars.present & (bars.volume > 0) & (bars.close_at > early)[:, None]
    return frozenset(bars.tokens[~later.any(axis=0)].tolist())


def in_auction(bars: SessionBars, session: Session) -> Flags:
    """bool[n]: of the session's stocks, by what the bars' source said; without its word by the bars."""
    told = bars.auction_tokens
    tokens = shown_auctions(bars, session) if told is None else told
    return np.isin(bars.tokens, np.array(sorted(tokens), dtype=np.int64))


def continuous_closes(bars: SessionBars, session: Session) -> Ints:
    """int64[n] ns UTC, as the live desk has them. Whom nobody called a stock with an auction has none."""
    told = bars.auction_tokens or frozenset()
    return np.array(
        [session.continuous_close(token in told) for token in bars.tokens.tolist()], dtype=np.int64
    )
