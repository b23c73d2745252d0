"""The time left of a session is the live desk's, for stocks with a closing auction too."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bar_files import imported, whole_day, write_parquet

from flows.market import shard_spec
from kitepilot.config import RiskSection
from kitepilot.events import DecisionParameters
from kitepilot.kernels.features import FEATURE_NAMES
from kitepilot.kernels.minutes import MINUTE_NAMES, MinuteShard
from kitepilot.market import calendar
from kitepilot.market.instruments import Instrument
from research.bars import SessionBars
from research.closing_auctions import in_auction
from research.datasets.manifest import DatasetError
from research.datasets.stored import open_bars
from research.feature_rows import features_of
from research.leaks.altered import Given, cut

DAY, BEFORE = date(2026, 9, 15), date(2026, 7, 15)
AUCTION_AT = 360  # minutes after 09:15
LEFT = "minutes_to_close"


def stored(home: Path, day: date, quiet: bool = False) -> SessionBars:
    """A, which does not trade after 15:15, and B, which does unless it is `quiet` too."""
    rows = whole_day("A", day, 100.0)[:AUCTION_AT] + whole_day("B", day, 200.0)[: 350 if quiet else None]
    imported(home, write_parquet(home / "a.parquet", rows))
    return open_bars(home, "d").read(day)


def listed(home: Path, bars: SessionBars, *symbols: str) -> Path:
    """The instruments file of that day, in which `symbols` have futures."""
    path = home / "instruments" / f"{bars.session}.parquet"
    path.parent.mkdir(exist_ok=True)
    flags = [symbol in symbols for symbol in bars.symbols]
    pq.write_table(pa.table({"instrument_token": bars.tokens, "closing_auction": flags}), path)
    return path


def left(bars: SessionBars) -> np.ndarray:
    ((_, rows),) = features_of(Given("given", (bars,)))
    return np.asarray(rows[:, :, FEATURE_NAMES.index(LEFT)])


def live(bars: SessionBars, *auction: str) -> np.ndarray:
    """The minute features as the market flow begins a session, float64[m, n, F]."""
    session = calendar.session(bars.session)
    terms = tuple(
        calendar.terms(session, Instrument(token, token >> 8, name, name, 5, 1, "NSE", "EQ", name in auction))
        for token, name in zip(bars.tokens.tolist(), bars.symbols, strict=True)
    )
    parameters = DecisionParameters(
        session_date=bars.session.isoformat(),
        open_at=session.open_at,
        close_at=session.close_at,
        instruments=terms,
        profile=RiskSection().profile(),
        strategies=(),
    )
    spec, shard = shard_spec(parameters, 0), MinuteShard(len(terms))
    shard.begin_session(spec.open_at, spec.close_at, np.ones(len(terms), bool), bars.previous_close_paise)
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.present)
    return shard.on_minutes(bars.close_at, *columns)


@pytest.mark.parametrize("day, auction", [(DAY, ("A",)), (BEFORE, ())])
def test_live_and_research_agree_on_the_time_left_of_a_stock_with_a_closing_auction(
    tmp_path: Path, day: date, auction: tuple[str, ...]
) -> None:
    bars = stored(tmp_path, day)
    found, expected = left(bars), live(bars, *auction)[:, :, MINUTE_NAMES.index(LEFT)]
    assert np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(expected).tobytes()
    assert found[0].tolist() == ([359.0, 374.0] if auction else [374.0, 374.0])


def test_the_days_instruments_file_is_believed_over_the_bars(tmp_path: Path) -> None:
    bars = stored(tmp_path, DAY, quiet=True)
    assert bars.auction_tokens == set(bars.tokens.tolist())
    listed(tmp_path, bars, "A")
    told = open_bars(tmp_path, "d").read(DAY)
    assert told.auction_tokens == {told.tokens[0]}
    assert in_auction(told, calendar.session(DAY)).tolist() == [True, False]
    assert left(told)[0].tolist() == [359.0, 374.0]


def test_a_session_cut_short_keeps_what_is_known_of_its_auctions(tmp_path: Path) -> None:
    bars = stored(tmp_path, DAY)
    assert left(cut(bars, 30)).tobytes() == left(bars)[:30].tobytes()


def test_a_damaged_instruments_file_is_told_and_not_passed_over(tmp_path: Path) -> None:
    path = listed(tmp_path, stored(tmp_path, DAY), "A")
    path.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DatasetError, match="damaged"):
        open_bars(tmp_path, "d").read(DAY)
