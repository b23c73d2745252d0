"""The gateway process: intents are journaled, sent once, followed to their end, and told.

Killed at any instant it neither loses nor doubles an order: an intent whose outcome was not journaled is
looked up by its tag in the broker's book and never sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import psycopg
import uvloop

from broker_adapter.gateway import postbacks, slicing
from broker_adapter.gateway.account_watch import BREAKER_CHANGES, AccountWatch, BreakerChange, Occasion
from broker_adapter.gateway.desk import Change, Desk
from broker_adapter.gateway.facts import FactSource, FactsWatch
from broker_adapter.gateway.findings import Findings, FindingsBook
from broker_adapter.gateway.journal import Journal, JournalError
from broker_adapter.gateway.refusals import Refusals
from broker_adapter.gateway.scribe import Scribe
from broker_adapter.gateway.submit import Sent, Submitter
from broker_adapter.gateway.truth import OrderTruthFinder
from broker_adapter.kite import session
from broker_adapter.kite.client import BrokerReadError, KiteBroker
from broker_adapter.kite.clock import Machine, VenueClock, WallClock
from broker_adapter.kite.limits import RateLimits, shares_of
from broker_adapter.kite.ticker import Down, Frame, Put, Text, Ticker, Up
from broker_adapter.kite.wire import ClockSaid, OrderSaid, read_text
from infra.eventlog import open_log
from infra.fence import Fence
from infra.postgres import book
from infra.postgres.embedded import PostgresError, database_url
from infra.read_positions import Positions
from kitepilot.events import ApprovedIntent, DeadLetter, Purpose, UndecodableError, encode
from kitepilot.market.instruments import parse_instruments
from kitepilot.orders.permission import permitted
from kitepilot.ports import Broker, EventLog, LogError, LogRecord, Unknown
from kitepilot.risk.ladder import calls_the_owner
from kitepilot.run import Run
from kitepilot.topics import DEAD_LETTER, INTENTS

POLL_S = 0.001
MAX_INTENTS = 100  # of one poll
MAX_IN_FLIGHT = 200  # more wait on the log
FIRST_CLOCK_S = 5.0
EARS_S = 10.0  # live: how long the first ticker connection may take before we go on without it
FINISH_S = 12.0  # at the end: for requests on their way and orders still live
LAST_LOOKS_S = 4.0
BEAT_S = 0.5
STUCK_S = 5.0  # a journal or log that does not return for so long: the gateway lives and does no work


class Ears(Protocol):
    """Where frames come from: the broker's ticker."""

    async def run(self, put: Put) -> None:
        """Every frame to `put`, in order, until cancelled."""
        ...


class Gateway:
    """One run's way to the broker. `serve` is its whole life.

    Where nothing is said of them, findings are kept in the run's database, frames come from the configured
    ticker, the fence stands in the run's folder, and the clocks are this machine's. Facts are read only from
    a source that is given.
    """

    def __init__(
        self,
        run: Run,
        log: EventLog,
        journal: Journal,
        broker: Broker,
        changes: deque[BreakerChange] | None = None,
        *,
        findings: FindingsBook | None = None,
        ears: Ears | None = None,
        fence: Fence | None = None,
        facts: FactSource | None = None,
        machine: Machine = time,
    ) -> None:
        self._machine = machine
        self._run = run
        self._log = log
        self._journal = journal
        self.clock: VenueClock | WallClock = (
            VenueClock(machine.monotonic) if run.config.mode == "paper" else WallClock(machine)
        )
        self.desk = Desk(run.run_id)
        self._scribe = Scribe(journal, log, machine)
        settings = run.config.broker
        self._fence = fence or Fence(run.folder)
        self._limits = RateLimits(self.clock, shares_of(settings), machine.monotonic)
        self._submitter = Submitter(broker, self._limits, run.config.risk, settings, self._fence, machine)
        self._truth = OrderTruthFinder(broker, self.desk, self._scribe, self.clock, self._limits, machine)
        self._findings = Findings(findings or FindingsBook(database_url(run), run.run_id), log, machine)
        self._watch = AccountWatch(run.run_id, broker, self._truth, self._findings, self.clock, machine)
        self._truth.account = self._watch
        self._facts = self._watch_facts(facts) if facts is not None else None
        self._refusals = Refusals()
        self._breaker_changes = changes if changes is not None else deque(maxlen=BREAKER_CHANGES)
        self._ears = ears or Ticker(
            settings.ticker_url,
            settings.api_key,
            lambda: session.load(run).access_token,
            idle_timeout_s=settings.idle_timeout_s,
        )
        self._in_flight: set[asyncio.Task[None]] = set()
        self._connected = asyncio.Event()
        self._ready = False
        self._letter_source = f"gateway-{machine.time_ns()}"
        self._letters = 0

    async def serve(self, stopping: asyncio.Event) -> None:
        """Until `stopping`; then requests on their way are finished and told. Else raises what ended it."""
        tasks: list[asyncio.Task[None]] = [
            asyncio.create_task(self._scribe.run()),
            asyncio.create_task(self._ears.run(self._on_frame)),
            asyncio.create_task(self._work(stopping)),
            asyncio.create_task(self._findings.run()),
        ]
        stop = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
            _raise_failure(tasks)
            if self._ready:
                await asyncio.wait([tasks[2]], timeout=FINISH_S)
                await self._finish()
                _raise_failure(tasks)
        finally:
            stop.cancel()
            for task in [*tasks, *self._in_flight]:
                task.cancel()
            await asyncio.gather(*tasks, *self._in_flight, stop, return_exceptions=True)
            self._submitter.close()
            self._truth.close()
            self._scribe.close()
            self._findings.close()

    async def _work(self, stopping: asyncio.Event) -> None:
        """Take up what an earlier gateway left; then intents until `stopping`, with an eye on the book."""
        await self._listen()
        start = await self._recover()
        await self._watch.reconcile(Occasion.START)
        beside = [
            asyncio.create_task(self._truth.run()),
            asyncio.create_task(self._watch.run()),
            asyncio.create_task(postbacks.follow(self._log, self._truth.heard)),
            asyncio.create_task(self._watch.follow_breakers(self._breaker_changes)),
            asyncio.create_task(self._beat()),
        ]
        if self._facts is not None:
            beside.append(asyncio.create_task(self._facts.run()))
        self._ready = True
        try:
            reading = asyncio.create_task(self._read_intents(start, stopping))
            await asyncio.wait([reading, *beside], return_when=asyncio.FIRST_COMPLETED)
            _raise_failure(beside)
            await reading
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    def _watch_facts(self, source: FactSource) -> FactsWatch:
        listed = parse_instruments((self._run.folder / "instruments.csv").read_bytes())
        return FactsWatch(
            self._run.run_id,
            source,
            [one.tradingsymbol for one in listed if one.tradable],
            self._findings,
            self.clock,
            self._limits,
            live=self._run.config.mode == "live",
            machine=self._machine,
        )

    async def _beat(self) -> None:
        """Tell the watchdog that orders would leave, and the decisions when its fence keeps them from it."""
        told = False
        while True:
            if self._scribe.stuck_s() < STUCK_S:
                with contextlib.suppress(OSError):  # not told is silence, and the watchdog knows what to do
                    self._fence.beat("gateway")
            raised = self._fence.raised()
            if raised is not None and not told:
                detail = f"nothing is sent while the watchdog flattens: {raised.reason}"
                await self._watch.alarm("fence", raised.by, detail, halts=True)
            told = raised is not None
            await asyncio.sleep(BEAT_S)

    async def _listen(self) -> None:
        """Wait for the ticker: order frames, and on paper the clock, come from it.

        Live does not wait for ever: without frames the book is read each second, and an exit must leave
        even on a day on which the ticker refuses us.
        """
        patience = None if self._run.config.mode == "paper" else EARS_S
        try:
            async with asyncio.timeout(patience):
                await self._connected.wait()
        except TimeoutError:
            sys.stderr.write("gateway: no ticker; order updates come from the order book alone\n")
        await self.clock.reached(1, FIRST_CLOCK_S)

    async def _recover(self) -> int:
        """Take up an earlier gateway's work; returns the offset of the next intent."""
        progress = self._journal.progress()
        files = self._journal.files()
        for file in files:
            self.desk.restore(file)
        self._limits.counted(len(files))
        await self._scribe.republish(progress.unpublished)
        await self._watch.restore()
        now, wall, steady = self.clock.now(), self._machine.time_ns(), self._machine.monotonic_ns()
        unopened = self._journal.unopened()
        await self._scribe.write([self.desk.opened(file, now) for file in files if file.tag in unopened])
        lost = [file for file in self.desk.live() if not file.order_id]
        reason = Unknown("the gateway ended before the outcome was journaled")
        await self._scribe.write(
            [self.desk.settle(file, reason, now, wall, wall, steady=steady) for file in lost]
        )
        for file in self.desk.live():
            file.missing_since, file.missing_steady = now, steady
        if progress.next_intent is None:
            return self._run.start_offsets()[INTENTS.name]
        return progress.next_intent

    async def _read_intents(self, start: int, stopping: asyncio.Event) -> None:
        reader = self._log.reader({(INTENTS.name, 0): start})
        positions = Positions(self._run, "gateway")
        try:
            self._run.mark_ready("gateway")
            while not stopping.is_set():
                records = reader.poll(MAX_INTENTS) if len(self._in_flight) < MAX_IN_FLIGHT else []
                if records:
                    await self._take(records)
                else:
                    positions.note(reader.positions())  # here, where no intent waits for it
                    await asyncio.sleep(POLL_S)
        finally:
            reader.close()

    async def _take(self, records: Sequence[LogRecord]) -> None:
        """Journal a batch of intents, each with its child orders, then send those that are new."""
        opened: list[Change] = []
        for record in records:
            intent = self._intent(record)
            if intent is not None:
                if intent.purpose is not Purpose.ENTRY and calls_the_owner(intent.attempt):
                    self._watch.ask_broker()
                quantities = self._children(intent)
                opened += self.desk.open(intent, quantities, self.clock.now())
        await self._scribe.open(opened, records[-1].offset + 1)
        for change in opened:
            task = asyncio.create_task(self._send(change))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)

    def _children(self, intent: ApprovedIntent) -> tuple[int, ...]:
        """How much each child order is for. What will be refused is journaled whole."""
        config = self._run.config
        refused = slicing.refusal(intent, config.risk.limits(), config.broker)
        return (intent.quantity,) if refused else slicing.children(intent, config.broker)

    def _intent(self, record: LogRecord) -> ApprovedIntent | None:
        """The intent, if it is one of this run that can be named at the broker; else a dead letter."""
        try:
            return permitted(record.value, self._run.run_id, self._run.config_hash)
        except UndecodableError as err:
            self._bury(record, str(err))
            return None

    def _bury(self, record: LogRecord, why: str) -> None:
        letter = DeadLetter(
            source=self._letter_source,
            seq=self._letters,
            event_at=self.clock.now(),
            reason="undecodable",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            count=1,
            detail=why,
            payload=record.value,
        )
        self._letters += 1
        self._log.append(DEAD_LETTER.name, [encode(letter, emitted_at=self._machine.time_ns())])

    async def _send(self, change: Change) -> None:
        file = change.file
        try:
            sent = await self._submitter.submit(file.intent, file.tag, file.truth.quantity)
        except Exception as err:  # ours, not the broker's: nobody knows how far it got
            sys.stderr.write(f"gateway: {file.tag}: {type(err).__name__}: {err}\n")
            now = self._machine.time_ns()
            sent = Sent(Unknown(f"{type(err).__name__}: {err}"), now, now)
        settled = self.desk.settle(
            file,
            sent.outcome,
            self.clock.now(),
            sent.replied_at,
            sent.sent_at,
            steady=self._machine.monotonic_ns(),
            sent_event_at=sent.event_at,
        )
        await self._scribe.post([settled])
        if (refusal := self._refusals.hear(sent.outcome)) is not None:
            await self._watch.alarm("refused", refusal.subject, refusal.detail, halts=refusal.halts)
        if file.hungry or isinstance(sent.outcome, Unknown):
            self._truth.hint()

    async def _on_frame(self, frame: Frame) -> None:
        match frame:
            case Text(_, text):
                said = read_text(text)
                if isinstance(said, ClockSaid):
                    self.clock.feed(said.session_ns)
                elif isinstance(said, OrderSaid):
                    await self._truth.heard(said.row)
            case Up():
                self._connected.set()
                self._truth.hint()  # updates are not replayed after a gap
            case Down(_, reason):
                sys.stderr.write(f"gateway: ticker {reason}\n")

    async def _finish(self) -> None:
        """No new intents: let requests land, then look until nothing is live or time is up."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=FINISH_S)
        deadline = self._machine.monotonic() + LAST_LOOKS_S
        while self.desk.live() and self._machine.monotonic() < deadline:
            try:
                await self._truth.look()
            except BrokerReadError as err:
                sys.stderr.write(f"gateway: last look: {err}\n")
                break
            await asyncio.sleep(0.05)
        await asyncio.wait_for(self._scribe.drain(), FINISH_S)
        try:
            await asyncio.wait_for(self._watch.reconcile(Occasion.END_OF_DAY), FINISH_S)
        except TimeoutError:
            sys.stderr.write("gateway: the last reconciliation did not end in time\n")
        await asyncio.wait_for(self._findings.told(), FINISH_S)


def _raise_failure(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done():
            task.result()


async def serve(
    run: Run, log: EventLog, journal: Journal, broker: KiteBroker, changes: deque[BreakerChange]
) -> None:
    """The gateway until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await Gateway(run, log, journal, broker, changes, facts=broker).serve(stopping)


def main(run: Run) -> int:
    """Exit 0 after SIGTERM with everything told; 1 with one line when journal, log or session fail."""
    try:
        url = database_url(run)
        journal = Journal(url, run.run_id)
        engine = book.engine_of(url)
        book.begin_run(engine, run)
        engine.dispose()
        log = open_log(run)
        changes: deque[BreakerChange] = deque(maxlen=BREAKER_CHANGES)
        broker = KiteBroker(run, lambda *change: changes.append(change))
        broker.open()
        try:
            uvloop.run(serve(run, log, journal, broker, changes))
        finally:
            log.close()
            journal.close()
    except (PostgresError, JournalError, LogError, session.SessionError, OSError, ValueError) as err:
        sys.stderr.write(f"gateway: {err}\n")
        return 1
    except psycopg.Error as err:
        said = (str(err).splitlines() or [type(err).__name__])[0]
        sys.stderr.write(f"gateway: PostgreSQL is gone, and nothing is sent without a journal: {said}\n")
        return 1
    return 0
