"""Real processes killed, frozen and kept away in the middle of a day: nothing lost or doubled, flat by the
cutoff. Nor does trading wait for the archive: while it and ClickHouse are frozen, trades are made as before.
`make chaos` does more of it, on both logs, and cuts lines and fills disks too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from chaos import survive
from chaos_proofs import Bodies
from loopback_ports import free_port
from outside import Outside
from paper_house import HOUR_NS, OPEN_NS, House
from strikes import Fault

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(1800)]


def test_a_day_survives_what_happens_to_every_kind_of_process(
    build_house: Callable[..., House], market: Bodies, tmp_path: Path
) -> None:
    # the exchange comes last: what it costs nobody after it has to make good
    faults = [
        Fault("stop", ("archive", "clickhouse"), OPEN_NS + HOUR_NS // 12, until_fills=2),
        Fault("kill", ("market", "ingest"), OPEN_NS + 3 * HOUR_NS // 2),
        Fault("stop", ("decisions", "api"), OPEN_NS + 5 * HOUR_NS // 2, lasts_s=1.5),
        Fault("kill", ("decisions", "clickhouse"), OPEN_NS + 3 * HOUR_NS, on_order_s=0.0),
        Fault("kill", ("postgres", "archive"), OPEN_NS + 7 * HOUR_NS // 2, on_order_s=0.0),
        Fault("kill", ("sandbox", "gateway"), OPEN_NS + 4 * HOUR_NS),
    ]
    outside = Outside(free_port())
    with outside.listening(refusing=1) as heard:
        came = survive(build_house(tmp_path / "home", outside=outside), faults, market)
    assert came.flaws == [], came.day.err[-3000:]
    assert came.day.result["orders"] > 0
    assert all(fault.took_s >= 0 for fault in faults)
    killed = {name for fault in faults if fault.kind == "kill" for name in fault.victims}
    assert {f"process_restarted:{name}" for name in killed} <= {told.key for told in heard.told}
