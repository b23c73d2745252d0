"""The log is a port: the same records give the same words on SQLite and on Kafka, whoever dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from chaos import survive
from chaos_proofs import Bodies
from loopback_ports import free_ports
from paper_house import HOUR_NS, OPEN_NS, Day, House
from refold import FLOWS, Recorded, disturbed, record
from strikes import Fault

from infra.kafka.jars import KafkaUnavailableError, provide_jars
from kitepilot.run import home

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def jars() -> Path:
    try:
        provide_jars(home() / "kafka" / "libs")
    except KafkaUnavailableError as err:
        pytest.skip(str(err))
    return home() / "kafka" / "libs"


def on_kafka(build: Callable[..., House], place: Path, jars: Path) -> House:
    """A house whose log is a Kafka node of its own."""
    address = f"127.0.0.1:{free_ports(2)[0]}"
    house = build(place, changes={"log.kind": "kafka", "log.bootstrap_servers": address})
    (place / "kafka").mkdir()
    (place / "kafka" / "libs").symlink_to(jars)
    return house


@pytest.fixture(scope="module")
def recorded(finished_day: tuple[House, Day]) -> Recorded:
    house, day = finished_day
    log = house.log()
    found = record(log, house.run(day.result["run_id"]), day)
    log.close()
    return found


@pytest.mark.parametrize("flow", sorted(FLOWS))
def test_a_flow_that_is_killed_and_frozen_says_what_the_undisturbed_one_said(
    recorded: Recorded, tmp_path: Path, flow: str
) -> None:
    came = disturbed(recorded, House(tmp_path / "home"), flow, seed=11)
    assert came.difference == ""
    assert came.words > 1_000


@pytest.mark.kafka
def test_kafka_gives_the_same_decisions_for_the_same_records(
    recorded: Recorded, jars: Path, tmp_path: Path
) -> None:
    came = disturbed(recorded, on_kafka(House, tmp_path / "home", jars), "decisions", seed=12)
    assert came.difference == ""
    assert came.words > 1_000


@pytest.mark.kafka
def test_a_paper_day_on_kafka_survives_its_broker(
    build_house: Callable[..., House], jars: Path, market: Bodies, tmp_path: Path
) -> None:
    house = on_kafka(build_house, tmp_path / "home", jars)
    faults = [
        Fault("kill", ("kafka/server",), OPEN_NS + HOUR_NS // 2),
        Fault("stop", ("kafka",), OPEN_NS + HOUR_NS, lasts_s=1.0),
    ]
    came = survive(house, faults, market, until=OPEN_NS + 3 * HOUR_NS // 2)
    assert came.flaws == [], came.day.err[-3000:]
    assert came.day.code == 130
    assert came.day.result["log"] == "kafka"
    assert came.day.result["orders"] > 0
    assert all(fault.took_s >= 0 for fault in faults)
