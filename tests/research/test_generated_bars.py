"""Generated bars are bars, and the same seed and day give the same ones whatever was read before."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from research.generated_bars import GeneratedBars, weekdays

DAYS = weekdays(date(2026, 9, 1), 5)


def test_a_session_depends_on_its_seed_and_date_alone() -> None:
    market = GeneratedBars(7, DAYS, seed=3, missing=0.1)
    alone = market.read(DAYS[3])
    after_others = [market.read(day) for day in DAYS][3]
    assert np.array_equal(alone.close, after_others.close)
    assert not np.array_equal(alone.close, market.read(DAYS[2]).close)


def test_every_bar_holds_its_prices_on_the_grid_and_a_missing_one_shows_nothing() -> None:
    bars = GeneratedBars(7, DAYS, seed=3, missing=0.1).read(DAYS[0])
    shown = bars.present
    assert 0.05 < 1 - shown.mean() < 0.15
    for price in (bars.open, bars.close):
        assert np.all((bars.low <= price) & (price <= bars.high))
        assert np.all(price % 5 == 0) and np.all(price[~shown] == 0)
    assert bars.bars == shown.sum()


def test_a_day_that_is_not_there_is_refused() -> None:
    with pytest.raises(LookupError, match="2026-09-06"):
        GeneratedBars(1, DAYS).read(date(2026, 9, 6))
