"""kill -9 in the middle of a day: nothing lost or doubled, flat by the cutoff. `make chaos` does more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from chaos import Kill, survive
from paper_house import HOUR_NS, OPEN_NS, House

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(600)]


def test_a_day_survives_kills_of_every_kind_of_process(
    build_house: Callable[..., House], tmp_path: Path
) -> None:
    house = build_house(tmp_path / "home", instruments=8)
    kills = [
        Kill(("market", "ingest"), OPEN_NS + HOUR_NS // 2),
        Kill(("gateway",), OPEN_NS + 2 * HOUR_NS, on_order_s=0.01),
        Kill(("decisions", "clickhouse"), OPEN_NS + 3 * HOUR_NS, on_order_s=0.0),
        Kill(("postgres", "archive"), OPEN_NS + 4 * HOUR_NS, on_order_s=0.0),
    ]
    came = survive(house, kills)
    assert came.day.code == 0, came.day.err[-3000:]
    assert came.day.result["reconciled"], came.day.result["first_difference"]
    assert came.day.result["orders"] > 0
    assert came.flaws == []
    assert came.sound
    again = house.replay(came.day.result["run_id"])
    assert again.code == 0, again.out[-3000:] + again.err[-3000:]


def test_an_exchange_that_dies_resumes_its_session_and_the_day_ends_flat(
    build_house: Callable[..., House], tmp_path: Path
) -> None:
    house = build_house(tmp_path / "home", instruments=4)
    kills = [
        Kill(("sandbox",), OPEN_NS + HOUR_NS // 2),
        Kill(("sandbox",), OPEN_NS + HOUR_NS, on_order_s=0.01),
        Kill(("sandbox", "gateway"), OPEN_NS + 2 * HOUR_NS, on_order_s=0.0),
    ]
    came = survive(house, kills)
    assert came.day.code == 0, came.day.err[-3000:]
    assert came.day.result["reconciled"], came.day.result["first_difference"]
    assert came.flaws == []
    assert came.sound
