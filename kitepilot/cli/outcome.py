"""What a day came to: the proof that all books agree, the summary, the report."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kitepilot import events as e
from kitepilot.cli import reconcile, report, sealing
from kitepilot.cli.supervise import SupervisionError
from kitepilot.cli.tape import Tape
from kitepilot.cli.venue import Venue
from kitepilot.config import ConfigError
from kitepilot.models.port import ModelError
from kitepilot.money import rupees
from kitepilot.orders.permission import permitted
from kitepilot.orders.positions import FLAT, Position, apply_fill
from kitepilot.ports import EventLog, LogError
from kitepilot.risk.admission import admit
from kitepilot.risk.foreign import split
from kitepilot.run import Run
from kitepilot.topics import BARS, DEAD_LETTER, DECISIONS, FEATURES, INTENTS, ORDERS, POSTBACKS, SESSION

NS_PER_MS = 1e6
NS_PER_S = 1e9
ALARMS_SHOWN = 50
#: Topics that no flow decides from: what cannot be read there is found, and kept, by the archive alone.
ARCHIVE_READS_ALONE = (DECISIONS, BARS, FEATURES, ORDERS, POSTBACKS, DEAD_LETTER)


@dataclass
class Trips:
    """Round trips: from flat to flat on one instrument, credited to the strategy that entered."""

    positions: dict[int, Position] = field(default_factory=lambda: defaultdict(lambda: FLAT))
    owners: dict[int, Position] = field(default_factory=lambda: defaultdict(lambda: FLAT))
    entered_by: dict[int, str] = field(default_factory=dict)
    results: list[tuple[str, int]] = field(default_factory=list)  # (strategy, gross paise)

    def add(self, fill: e.Filled, intent: e.ApprovedIntent | None) -> None:
        if self.positions[fill.token].flat and intent is not None:
            self.entered_by[fill.token] = intent.strategy
        self._move(fill, fill.quantity)

    def add_foreign(self, fill: e.ForeignFilled) -> None:
        """What it closes of ours ends our trip as an exit would; the rest is the owner's."""
        theirs, ours = split(self.owners[fill.token], self.positions[fill.token], fill)
        if theirs:
            held = self.owners[fill.token]
            self.owners[fill.token] = apply_fill(held, fill.side, theirs, fill.price_paise)
        if ours:
            self._move(fill, ours)

    def _move(self, fill: e.Filled | e.ForeignFilled, quantity: int) -> None:
        before = self.positions[fill.token]
        after = apply_fill(before, fill.side, quantity, fill.price_paise)
        if after.flat and not before.flat:
            self.results.append((self.entered_by.get(fill.token, ""), after.realised_paise))
            after = FLAT
        self.positions[fill.token] = after


@dataclass
class DayTape:
    """One pass over the run's small topics; nothing of the size of the ticks."""

    signals: list[e.SignalRaised] = field(default_factory=list)
    fills: list[e.Filled | e.ForeignFilled] = field(default_factory=list)
    reconciliations: Counter[str] = field(default_factory=Counter)  # with the broker, by verdict
    alarms: list[e.Alarmed] = field(default_factory=list)
    intents: dict[str, e.ApprovedIntent] = field(default_factory=dict)
    denials: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    open_after_cutoff: list[str] = field(default_factory=list)
    curve: report.EquityCurve = field(default_factory=report.EquityCurve)
    trading_state: str = e.TradingState.ACTIVE.value
    tapes: dict[str, Tape] = field(default_factory=dict)
    decisions_hash: str = ""

    @classmethod
    def read(cls, run: Run, log: EventLog, parameters: e.DecisionParameters) -> DayTape:
        day = cls()
        starts = run.start_offsets()

        def tape(topic: str, decode: Callable[[bytes], e.AnyEvent] = e.decode) -> Tape:
            day.tapes[topic] = Tape(log, topic, starts[topic], log.end_offset(topic), decode=decode)
            return day.tapes[topic]

        ours = partial(permitted, run_id=run.run_id, config_hash=run.config_hash)
        for event in tape(INTENTS.name, ours):
            if isinstance(event, e.ApprovedIntent):
                day.intents[event.intent_id] = event
        for event in tape(SESSION.name, admit):
            day._session(event)
        day.decisions_hash = day._decisions(tape(DECISIONS.name), parameters)
        for event in tape(DEAD_LETTER.name):
            if isinstance(event, e.DeadLetter):
                day.dead_letters[event.reason] += event.count
        return day

    def _session(self, event: e.AnyEvent) -> None:
        if isinstance(event, e.SignalRaised):
            self.signals.append(event)
        elif isinstance(event, e.Filled | e.ForeignFilled):
            self.fills.append(event)
        elif isinstance(event, e.Reconciled):
            self.reconciliations[event.verdict] += 1
        elif isinstance(event, e.Alarmed):
            self.alarms.append(event)

    def _decisions(self, tape: Tape, parameters: e.DecisionParameters) -> str:
        flat_from = max((t.force_flat_at for t in parameters.instruments), default=0)

        def seen() -> Iterator[e.AnyEvent]:
            for event in tape:
                if isinstance(event, e.Verdict) and not event.approved:
                    self.denials[event.denial] += 1
                elif isinstance(event, e.StateChanged):
                    self.trading_state = event.state.value
                elif isinstance(event, e.AccountMarked):
                    self._mark(event, flat_from)
                yield event

        return e.stream_hash(seen())

    def _mark(self, event: e.AccountMarked, flat_from: int) -> None:
        net = event.realised_paise + event.unrealised_paise - event.charges_paise
        self.curve.add(event.event_at, net, event.open_positions)
        self.trading_state = event.state.value
        if event.open_positions and event.event_at >= flat_from:
            found = f"{event.open_positions} at {report.ist_clock(event.event_at)}"
            self.open_after_cutoff = self.open_after_cutoff or [found]

    @property
    def marked_s(self) -> float:
        """Session seconds between the first mark and the last."""
        points = self.curve.all()
        return (points[-1].at - points[0].at) / NS_PER_S if points else 0.0

    def trips(self) -> Trips:
        trips = Trips()
        for fill in sorted(self.fills, key=lambda f: (f.filled_at, f.seq)):
            if isinstance(fill, e.ForeignFilled):
                trips.add_foreign(fill)
            else:
                trips.add(fill, self.intents.get(fill.intent_id))
        return trips


def percentiles(nanoseconds: Sequence[int]) -> dict[str, float | None]:
    """p50, p95, p99 in milliseconds; nulls without samples."""
    if not nanoseconds:
        return {"p50": None, "p95": None, "p99": None}
    p50, p95, p99 = np.percentile(np.array(nanoseconds) / NS_PER_MS, [50, 95, 99])
    return {"p50": round(p50, 3), "p95": round(p95, 3), "p99": round(p99, 3)}


def await_archive(run: Run, ends: Mapping[str, int], within_s: float) -> None:
    """Wait until the archive has written everything up to these offsets, as long as it gets on.

    It gives way to everything, and may be slow on a busy machine; nothing more comes that it could wait for.

    Raises:
        SupervisionError: it wrote nothing for `within_s`; names the topic and how far behind it is.
    """
    from infra.clickhouse.book import next_offsets

    least, deadline = -1, 0.0
    while True:
        reached = next_offsets(run)
        behind = {t: end - reached.get(t, run.start_offsets()[t]) for t, end in ends.items()}
        waiting = {t: n for t, n in behind.items() if n > 0}
        if not waiting:
            return
        if least < 0 or sum(waiting.values()) < least:
            least, deadline = sum(waiting.values()), time.monotonic() + within_s
        if time.monotonic() > deadline:
            raise SupervisionError(
                f"the archive is behind by {waiting} records and has written none for {within_s:.0f} s: "
                "see `kitepilot logs archive`"
            )
        time.sleep(0.2)


def conclude(
    run: Run, log: EventLog, venue: Venue, *, interrupted: bool, traded_s: float | None = None
) -> dict[str, Any]:
    """Reconcile, summarise, write the report and the run's row; returns the result object.

    `traded_s`: seconds of the machine from open to close; without, the session's own (live: the same).
    """
    tape = DayTape.read(run, log, run.parameters())
    _add_buried_by_archive(run, tape.dead_letters)
    proof = _proof(run, log, venue, tape)
    trips = tape.trips()
    counts = _counts(run)
    market = venue.market()
    took_s = tape.marked_s if traded_s is None else traded_s
    totals = proof.totals
    won = sum(gross > 0 for _, gross in trips.results)
    result: dict[str, Any] = {
        "run_id": run.run_id,
        "mode": run.config.mode,
        "session": run.config.session.date,
        "feed": market.feed,
        "depth": market.depth,
        "log": run.config.log.kind,
        "config_hash": run.config_hash,
        "interrupted": interrupted,
        "reconciled": proof.reconciled,
        "first_difference": proof.first_difference,
        "open_positions": totals.open_positions,
        "signals": len(tape.signals),
        "intents": len(tape.intents),
        "orders": totals.orders,
        "fills": totals.fills,
        "foreign_fills": totals.foreign_fills,
        "broker_reconciliations": dict(tape.reconciliations),
        "alarms": [f"{alarm.kind} {alarm.subject}: {alarm.detail}" for alarm in tape.alarms[:ALARMS_SHOWN]],
        "unlinked_orders": proof.unlinked_orders,
        "messages": proof.logged,
        "messages_archived": proof.archived,
        "ticks": market.ticks,
        "ticks_per_s": round(market.ticks / took_s, 1) if took_s else 0.0,
        "traded_in_s": round(took_s, 1),
        "dead_letters": dict(tape.dead_letters),
        "denials": dict(tape.denials.most_common()),
        "round_trips": len(trips.results),
        "hit_rate": won / len(trips.results) if trips.results else 0.0,
        "gross_pnl_paise": totals.realised_paise,
        "charges_paise": totals.charges_paise,
        "net_pnl_paise": totals.realised_paise - totals.charges_paise,
        "tick_to_signal_ms": percentiles(
            [s.emitted_at - s.received_at for s in tape.signals if s.received_at]
        ),
        "signal_to_enqueued_ms": percentiles(
            [
                i.emitted_at - i.signal_emitted_at
                for i in tape.intents.values()
                if i.purpose is e.Purpose.ENTRY
            ]
        ),
        "decisions_hash": tape.decisions_hash,
        "feed_counts": counts,
        "trading_state": tape.trading_state,
        "report": str(run.folder / "report.html"),
    }
    result["audit"] = audited = sealing.seal_day(run, log, result)
    if audited["trouble"]:
        result["reconciled"] = False
        result["first_difference"] = result["first_difference"] or f"audit: {audited['trouble']}"
    strategies = _by_strategy(tape, trips)
    tables = {"reconciliation": proof.table(), "strategies": strategies, "feed_counts": counts}
    report.write(run.folder / "report.html", result, tables, tape.curve.all())
    result["reconciliation"] = proof.table()
    result["by_strategy"] = strategies
    result |= {"session_archive": _keep(run, log), "models_judged": _judge_models(run, log)}
    (run.folder / "result.json").write_text(json.dumps(result, indent=1))
    reconcile.record_result(run, result)
    return result


def _proof(run: Run, log: EventLog, venue: Venue, tape: DayTape) -> reconcile.Proof:
    """All books, and every order that followed a score cites its model."""
    proof = reconcile.prove(run, log, venue, tape.open_after_cutoff)
    proof.differences += reconcile.uncited(run, tape.intents.values(), tape.signals)
    return proof


def _judge_models(run: Run, log: EventLog) -> list[str] | str:
    """How the day's offline models scored, for their gates; where it cannot be kept, why. The day stands."""
    from kitepilot.cli.model_days import keep_evidence

    try:
        return keep_evidence(run, log)
    except (ConfigError, ModelError, LogError) as err:
        return f"not kept: {err}"


def _keep(run: Run, log: EventLog) -> str:
    """Keep the day's records as files; where that fails, why. The day is proven with or without."""
    from infra.session_archive import keep
    from kitepilot.cli.code import code_of

    version, code = code_of(run.folder)
    try:
        return str(keep(run, log, code_version=version, code_hash=code, concluded=True))
    except (LogError, OSError) as err:
        return f"not kept: {err}"


def _add_buried_by_archive(run: Run, dead_letters: Counter[str]) -> None:
    """What nobody but the archive read, and it could not."""
    from infra.clickhouse.book import topic_counts

    alone = {topic.name for topic in ARCHIVE_READS_ALONE}
    if buried := sum(count.dead for count in topic_counts(run) if count.topic in alone):
        dead_letters["undecodable"] += buried


def _counts(run: Run) -> dict[str, int]:
    """What the ingester and the market flow counted, merged for the reader."""
    merged: dict[str, int] = {}
    for name in ("ingest_counts.json", "market_counts.json"):
        path = run.folder / name
        if path.exists():
            found = json.loads(path.read_text())
            found |= found.pop("counts", {})
            merged |= {k: v for k, v in found.items() if isinstance(v, int) and v and not k.endswith("_at")}
    return merged


def _by_strategy(tape: DayTape, trips: Trips) -> list[dict[str, Any]]:
    names = sorted({s.strategy for s in tape.signals} | {name for name, _ in trips.results})
    rows = []
    for name in names:
        grosses = [gross for strategy, gross in trips.results if strategy == name]
        entries = sum(i.strategy == name and i.purpose is e.Purpose.ENTRY for i in tape.intents.values())
        rows.append(
            {
                "strategy": name,
                "signals": sum(s.strategy == name for s in tape.signals),
                "entries": entries,
                "round_trips": len(grosses),
                "hit_rate": sum(g > 0 for g in grosses) / len(grosses) if grosses else 0.0,
                "gross_paise": sum(grosses),
            }
        )
    return rows


def show(console: Console, result: dict[str, Any]) -> None:
    """The day for a person at a terminal."""
    heads = result["reconciliation"]["heads"]
    title = f"Reconciliation of {result['run_id']}"
    table = Table(*heads, title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.show_edge, table.pad_edge = False, False
    for column in table.columns:
        column.no_wrap = True
        column.justify = "left" if column is table.columns[0] else "right"
    for row in result["reconciliation"]["rows"]:
        table.add_row(*map(str, row))
    console.print(table)
    if result["reconciled"]:
        console.print("[green]Reconciled:[/green] every book agrees, every message is accounted for.")
    else:
        console.print(f"[red]NOT reconciled:[/red] {result['first_difference']}", highlight=False)
    for line in summary_lines(result):
        console.print(line, highlight=False, soft_wrap=True)


def summary_lines(result: dict[str, Any]) -> list[str]:
    """The summary in a dozen lines."""
    hit = f"{100 * result['hit_rate']:.0f} %" if result["round_trips"] else "-"
    denials = ", ".join(f"{code} {n}" for code, n in result["denials"].items()) or "none"
    dead = ", ".join(f"{reason} {n}" for reason, n in result["dead_letters"].items()) or "none"
    looks = ", ".join(f"{n} {verdict}" for verdict, n in result["broker_reconciliations"].items()) or "none"
    t, s = result["tick_to_signal_ms"], result["signal_to_enqueued_ms"]
    return [
        "",
        f"Market             {result['feed']}",
        f"P&L                ₹{rupees(result['gross_pnl_paise'])} before charges, "
        f"₹{rupees(result['charges_paise'])} charges, [b]₹{rupees(result['net_pnl_paise'])} net[/b]",
        f"Trades             {result['orders']} orders, {result['fills']} fills, "
        f"{result['round_trips']} round trips, hit rate {hit}, {result['open_positions']} open at the end",
        f"With the broker    reconciliations: {looks}; {result['foreign_fills']} fills not ours, "
        f"{len(result['alarms'])} alarms",
        f"Signals            {result['signals']}; denied: {denials}",
        f"Ticks              {result['ticks']:,} in {result['traded_in_s']:.0f} s "
        f"({result['ticks_per_s']:,.0f}/s); dead letters: {dead}",
        f"Messages           {result['messages']:,} in the log, {result['messages_archived']:,} archived",
        f"Audit              {result['audit']['line']}",
        f"Tick to signal     p50 {t['p50']}  p95 {t['p95']}  p99 {t['p99']} ms",
        f"Signal to enqueued p50 {s['p50']}  p95 {s['p95']}  p99 {s['p99']} ms",
        f"Decisions          {result['decisions_hash'][:16]}  config {result['config_hash']}",
        f"Report             {result['report']}",
        f"Session archive    {result['session_archive']}",
        *([f"Daily pack         {result['daily_pack']}"] if "daily_pack" in result else []),
    ]
