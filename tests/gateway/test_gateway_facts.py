"""Funds, circuit limits and the clock: read in time, within the limits, told in order, asked for again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest
from test_gateway_trades import until
from trading_floor import Exchange, Floor, venue_at_leisure

from broker_adapter.gateway.facts import AGAIN_NS, MINUTE_NS, FactsWatch
from broker_adapter.gateway.findings import Findings
from broker_adapter.gateway.journal import Journal
from broker_adapter.gateway.main import Gateway
from broker_adapter.kite.client import BrokerReadError, KiteBroker
from broker_adapter.kite.clock import SECOND_NS
from broker_adapter.kite.limits import EntryShares, RateLimits
from infra.postgres import book
from kitepilot.cli import instrument_facts
from kitepilot.events import BandsMarked, ClockMeasured, FundsMarked
from kitepilot.ports import BandReport, FundsReport
from kitepilot.topics import SESSION

BEGIN = 1_795_146_300_000_000_000  # 2026-11-20 09:15:00 IST


class Kite:
    """A broker that answers, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.quotes: list[int] = []
        self._turn = threading.Lock()

    def funds(self) -> FundsReport:
        with self._turn:
            if self.failures:
                self.failures -= 1
                raise BrokerReadError("funds: 503")
        return FundsReport(available_paise=5_000, used_paise=700)

    def bands(self, tradingsymbols: Sequence[str]) -> list[BandReport]:
        self.quotes.append(len(tradingsymbols))
        return [BandReport(number, 90, 110) for number, _ in enumerate(tradingsymbols)]

    def skew_ms(self) -> int:
        return -40


class Clock:
    """Session time that a test moves."""

    coarse_ns = 0

    def __init__(self) -> None:
        self.at = BEGIN

    def now(self) -> int:
        return self.at

    async def reached(self, at_ns: int, patience_s: float) -> bool:
        await asyncio.sleep(0.001)
        self.at += SECOND_NS  # waiting makes it later
        return self.at >= at_ns


class Told:
    """Keeps what is handed in."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    async def tell(self, findings: Sequence[Any]) -> None:
        self.all += findings

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.all if isinstance(each, kind)]


def watch(kite: Kite, told: Told, clock: Clock, *, symbols: int = 3, live: bool = True) -> FactsWatch:
    limits = RateLimits(clock, EntryShares(), time.monotonic)
    names = [f"S{number}" for number in range(symbols)]
    return FactsWatch("run", kite, names, cast(Findings, told), clock, limits, live=live)


async def test_each_fact_is_told_at_the_start_and_then_in_its_own_time() -> None:
    kite, told, clock = Kite(), Told(), Clock()
    facts = watch(kite, told, clock)
    for _ in range(11):
        await facts.tell_due()
        clock.at += MINUTE_NS
    assert len(told.of(FundsMarked)) == 11
    assert len(told.of(BandsMarked)) == len(told.of(ClockMeasured)) == 3
    assert [each.skew_ms for each in told.of(ClockMeasured)] == [-40] * 3
    assert {(each.available_paise, each.used_paise) for each in told.of(FundsMarked)} == {(5_000, 700)}


async def test_nothing_is_asked_before_its_time() -> None:
    kite, told, clock = Kite(), Told(), Clock()
    facts = watch(kite, told, clock)
    await facts.tell_due()
    clock.at += MINUTE_NS - 1
    await facts.tell_due()
    assert len(told.all) == 3


async def test_what_cannot_be_read_is_asked_for_again_soon_and_the_rest_goes_on() -> None:
    kite, told, clock = Kite(failures=2), Told(), Clock()
    facts = watch(kite, told, clock)
    await facts.tell_due()
    assert not told.of(FundsMarked) and told.of(BandsMarked) and told.of(ClockMeasured)
    clock.at += AGAIN_NS
    await facts.tell_due()
    assert not told.of(FundsMarked)
    clock.at += AGAIN_NS
    await facts.tell_due()
    assert len(told.of(FundsMarked)) == 1


async def test_quotes_are_asked_for_five_hundred_at_a_time_a_second_apart() -> None:
    kite, told, clock = Kite(), Told(), Clock()
    await watch(kite, told, clock, symbols=1_200).tell_due()
    assert kite.quotes == [500, 500, 200]
    (bands,) = told.of(BandsMarked)
    assert len(bands.tokens) == len(bands.lower_paise) == len(bands.upper_paise) == 1_200
    assert clock.at - BEGIN >= 2 * SECOND_NS  # one a second is what Kite allows


async def test_on_paper_the_clock_is_the_exchanges_own_and_told_once() -> None:
    kite, told, clock = Kite(), Told(), Clock()
    facts = watch(kite, told, clock, live=False)
    for _ in range(20):
        await facts.tell_due()
        clock.at += MINUTE_NS
    (measured,) = told.of(ClockMeasured)
    assert (measured.skew_ms, measured.against) == (0, "sandbox")


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """One of this file's own: what an order needs of margin depends on what the account holds."""
    with venue_at_leisure() as venue:
        yield venue


@pytest.mark.stack
async def test_a_gateway_tells_the_sandboxes_facts_in_one_numbering_with_its_findings(floor: Floor) -> None:
    engine = book.engine_of(floor.run.config.storage.database_url)
    book.begin_run(engine, floor.run)
    engine.dispose()
    journal, broker = Journal(floor.run.config.storage.database_url, floor.run.run_id), KiteBroker(floor.run)
    stopping = asyncio.Event()
    serving = asyncio.create_task(
        Gateway(floor.run, floor.log, journal, broker, facts=broker).serve(stopping)
    )

    def told(kind: type) -> list[Any]:
        return [each for each in floor.read(SESSION.name) if isinstance(each, kind)]

    try:
        await until(lambda: bool(told(FundsMarked) and told(BandsMarked) and told(ClockMeasured)), 60.0)
    finally:
        stopping.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(serving, 60)
        journal.close()
    assert told(FundsMarked)[0].available_paise > 0
    facts = instrument_facts.gather(floor.run)
    symbols = {instrument.tradingsymbol for instrument in floor.instruments}
    assert set(facts.margin_bps) == symbols and set(facts.margin_bps.values()) <= {0, 2_000, 2_500, 4_000}
    assert symbols <= set(facts.average_volume) and symbols <= set(facts.sector)
    bands = told(BandsMarked)[0]
    assert set(bands.tokens) == {instrument.token for instrument in floor.instruments}
    assert all(low < high for low, high in zip(bands.lower_paise, bands.upper_paise, strict=True))
    numbers = [each.seq for each in floor.read(SESSION.name) if each.source == "gateway.findings"]
    assert [first for first, _ in itertools.groupby(sorted(numbers))] == list(range(len(set(numbers))))
    assert abs(broker.skew_ms()) < 600_000  # one machine, in one time zone
