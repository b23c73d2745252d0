"""Under each fault of the sandbox: what the gateway did, and whether all books agree afterwards.

`make faults` runs it with random seeds and prints the table; the test beside it runs a short form.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from fault_cases import Case, cases, waves
from faulty_floor import FaultyFloor, faulty_floor, waited
from rich.console import Console
from rich.table import Table

from broker_adapter.gateway.refusals import ACCOUNT_CODES, LOGIN
from broker_adapter.sandbox.faults import BY_NAME
from infra.postgres import book
from kitepilot.events import Alarmed, ApprovedIntent, OrderJournaled, OrderStatus, OrderUpdated, Purpose, Side
from kitepilot.topics import ORDERS, SESSION

SETTLE_S = 60.0  # machine time for every order of a wave to end
STRIKE_S = 20.0  # machine time for what comes by itself, such as a reconnect
AFTERMATH_S = 15.0  # session time for updates that come late
#: One case's orders: entries on both sides, an exit, and one that is not immediate-or-cancel.
ORDERS_OF_A_CASE = (
    (Side.BUY, 3, Purpose.ENTRY, "IOC"),
    (Side.SELL, 2, Purpose.ENTRY, "IOC"),
    (Side.BUY, 1, Purpose.EXIT, "IOC"),
    (Side.SELL, 2, Purpose.ENTRY, "DAY"),
)
REPLIES = ("accepted", "unknown", "rejected", "throttled")


@dataclass
class Row:
    """What became of one case. `complaints` is empty when everything is as it must be."""

    case: Case
    intents: list[ApprovedIntent]
    struck: int = 0
    missed: list[str] = field(default_factory=list)
    did: str = ""
    alarms: list[str] = field(default_factory=list)
    exchange: str = ""
    journal: str = ""
    equal: bool = False
    complaints: list[str] = field(default_factory=list)

    @property
    def refused_for(self) -> list[str]:
        """Reasons in `did` that no order can pass."""
        said = self.did.replace("_", " ")
        return [reason for reason in (*ACCOUNT_CODES, LOGIN) if reason.replace("_", " ") in said]

    @property
    def names(self) -> set[str]:
        return {intent.intent_id for intent in self.intents}


def run_table(floor: FaultyFloor, *, thorough: bool, only: str = "") -> Iterator[Row]:
    """All cases on one floor, wave by wave; each row as soon as its wave is judged. `only` names some."""
    wanted = only.split(",") if only else BY_NAME
    chosen = [case for case in cases(thorough=thorough) if case.names.intersection(wanted)]
    for wave in waves(chosen):
        yield from run_wave(floor, wave, rounds=3 if thorough else 1)


def run_wave(floor: FaultyFloor, wave: list[Case], rounds: int) -> list[Row]:
    """Arm, send, wait until every order has ended, let late updates come, compare the books."""
    heard = len(alarms(floor))
    rows = [Row(case, []) for case in wave]
    for order in ORDERS_OF_A_CASE * rounds:  # case by case would be one trouble after the other
        for place, row in enumerate(rows):
            row.intents.append(_intent(floor, place, order))
    numbers = {floor.arm(**body): (row, body) for row in rows for body in bodies(row)}
    in_turn = zip(*(row.intents for row in rows), strict=True)
    floor.send(*(intent for turn in in_turn for intent in turn))
    settled(floor, rows)
    certain = [n for n, (row, body) in numbers.items() if row.case.must_strike(body)]
    waited(lambda: all(floor.struck()[number] for number in certain), STRIKE_S)
    hits = floor.struck()
    for number, (row, body) in numbers.items():
        row.struck += hits[number]
        if number in certain and not hits[number]:
            row.missed.append(body["fault"])
    floor.clear()
    restore(floor, wave)
    settled(floor, rows)
    floor.pass_time(AFTERMATH_S + max(row.case.late_s for row in rows))
    waited(lambda: not judge(floor, rows, heard), SETTLE_S / 2)
    return rows


def bodies(row: Row) -> Iterator[dict[str, Any]]:
    """What arms a row's faults, for its own instrument where that can be."""
    symbol = {"symbol": row.intents[0].tradingsymbol} if row.case.own else {}
    for switch in row.case.switches:
        yield {**switch, "match": {**switch["match"], **symbol}}


def restore(floor: FaultyFloor, wave: list[Case]) -> None:
    """A person logs in again where the fault ended the session; the gateway's ear is back."""
    if any("token_expired" in case.names for case in wave):
        floor.log_in()
    assert waited(lambda: floor.exchange.get("/admin/state")["sockets"] >= 1, SETTLE_S), (
        "the ticker stays away"
    )


def settled(floor: FaultyFloor, rows: Sequence[Row]) -> bool:
    """Whether every intent ended in time. One that did not is for `judge` to complain about."""
    names = set().union(*(row.names for row in rows))

    def ended() -> bool:
        assert floor.process.poll() is None, (floor.run.folder / "gateway.log").read_text()
        return names <= {name for name, status in _last_told(floor).items() if status.terminal}

    return waited(ended, SETTLE_S)


def judge(floor: FaultyFloor, rows: Sequence[Row], heard: int) -> bool:
    """Fill in what happened and what is wrong with it; returns whether anything is."""
    venue = floor.exchange.get("/admin/book")
    engine = book.engine_of(floor.run.config.storage.database_url)
    booked = book.booked_orders(engine, floor.run.run_id)
    fills = book.booked_fills(engine, floor.run.run_id)
    engine.dispose()
    told = _last_told(floor)
    rung = alarms(floor)[heard:]
    lines = [e for e in floor.read(ORDERS.name) if isinstance(e, OrderJournaled)]
    held = {row["tradingsymbol"]: row["quantity"] for row in venue["positions"]}
    journaled: Counter[str] = Counter()
    for fill in fills:
        journaled[fill.tradingsymbol] += fill.quantity if fill.side is Side.BUY else -fill.quantity
    for row in rows:
        ours = [order for order in booked if order.intent_id in row.names]
        theirs = [order for order in venue["orders"] if (order["tag"] or "")[:18] in row.names]
        symbols = {intent.tradingsymbol for intent in row.intents}
        ids = {order["order_id"] for order in theirs}
        row.did = _deeds(row, [line for line in lines if line.intent_id in row.names], told)
        about = {*row.names, *ids, *symbols}
        mine = [a for a in rung if len(rows) == 1 or _concerns(a, about) or a.subject in row.refused_for]
        row.alarms = sorted(
            {f"{alarm.kind}: {alarm.detail}{' (halts)' if alarm.halts else ''}" for alarm in mine}
        )
        row.exchange = f"{len(theirs)} ({sum(order['filled_quantity'] for order in theirs)} sh.)"
        row.journal = f"{sum(bool(o.order_id) for o in ours)} ({sum(o.filled_quantity for o in ours)} sh.)"
        row.equal = all(held.get(symbol, 0) == journaled[symbol] for symbol in symbols)
        trades = {(t["order_id"], t["trade_id"], t["quantity"], t["price_paise"]) for t in venue["trades"]}
        kept = {(f.order_id, f.trade_id, f.quantity, f.price_paise) for f in fills}
        row.complaints = list(
            complaints(
                row,
                tags=[order["tag"] for order in theirs],
                at_exchange={order["order_id"]: order["filled_quantity"] for order in theirs},
                in_journal={order.order_id: order.filled_quantity for order in ours if order.order_id},
                trades={trade for trade in trades if trade[0] in ids} ^ {k for k in kept if k[0] in ids},
                open_intents={name for name in row.names if name not in told or not told[name].terminal},
            )
        )
    return any(row.complaints for row in rows)


def complaints(
    row: Row,
    tags: list[str],
    at_exchange: dict[str, int],
    in_journal: dict[str, int],
    trades: set[tuple[str, str, int, int]],
    open_intents: set[str],
) -> Iterator[str]:
    """What must never be, whatever the fault was; an alarm excuses only what is still open."""
    doubled = [tag for tag, times in Counter(tags).items() if times > 1]
    if doubled:
        yield f"sent twice: {doubled}"
    if missing := at_exchange.keys() - in_journal.keys():
        yield f"at the exchange but not in the journal: {sorted(missing)}"
    if invented := in_journal.keys() - at_exchange.keys():
        yield f"in the journal but not at the exchange: {sorted(invented)}"
    if any(
        at_exchange[order_id] != in_journal.get(order_id, at_exchange[order_id]) for order_id in at_exchange
    ):
        yield f"filled quantities differ: {at_exchange} against {in_journal}"
    if trades:
        yield f"trades differ: {sorted(trades)}"
    if not row.equal and not row.alarms:
        yield "positions differ and nobody was told"
    if open_intents and not row.alarms:
        yield f"not ended and nobody was told: {sorted(open_intents)}"
    if row.refused_for and not row.alarms:
        yield f"refused whatever the order is ({', '.join(row.refused_for)}) and nobody was told"
    if row.missed or not row.struck:
        yield f"never struck: {', '.join(row.missed or row.case.names)}"


def _concerns(alarm: Alarmed, words: set[str]) -> bool:
    return any(word in f"{alarm.subject} {alarm.detail}" for word in words)


def alarms(floor: FaultyFloor) -> list[Alarmed]:
    return [event for event in floor.read(SESSION.name) if isinstance(event, Alarmed)]


def _last_told(floor: FaultyFloor) -> dict[str, OrderStatus]:
    return {e.intent_id: e.status for e in floor.read(SESSION.name) if isinstance(e, OrderUpdated)}


def _deeds(row: Row, lines: list[OrderJournaled], told: dict[str, OrderStatus]) -> str:
    """`4 sent: 3 accepted, 1 unknown -> 4 filled`."""
    replies = Counter(line.kind for line in lines if line.kind in REPLIES)
    absent = sum(line.kind == "absent" for line in lines)
    ends = Counter(f"{told[name]}".lower() for name in row.names if name in told)
    reasons = sorted({line.detail.partition(":")[0] for line in lines if line.kind == "rejected"})
    first = ", ".join(f"{replies[kind]} {kind}" for kind in REPLIES if replies[kind])
    found = f", {absent} found absent" if absent else ""
    why = f" ({', '.join(reasons)})" if reasons else ""
    return f"{first}{why}{found} -> " + ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))


def _intent(floor: FaultyFloor, place: int, order: tuple[Side, int, Purpose, str]) -> ApprovedIntent:
    side, quantity, purpose, validity = order
    return floor.intent(place, side=side, quantity=quantity, purpose=purpose, validity=validity)


def render(rows: Sequence[Row]) -> Table:
    """The table for people."""
    table = Table(title="What the gateway did, fault by fault", show_lines=True)
    columns = (
        "fault",
        "struck",
        "the gateway: replies -> ends",
        "alarms",
        "at the exchange",
        "in PostgreSQL",
    )
    for column in (*columns, "positions equal", ""):
        table.add_column(column, overflow="fold")
    for row in rows:
        told = "; ".join(row.alarms)
        verdict = "[green]ok[/]" if not row.complaints else f"[red]{'; '.join(row.complaints)}[/]"
        equal = "yes" if row.equal else "[red]no[/]"
        table.add_row(
            row.case.title, f"{row.struck}", row.did, told or "-", row.exchange, row.journal, equal, verdict
        )
    return table


def markdown(rows: Sequence[Row]) -> str:
    """The same for docs/explanation/failures.md."""
    head = "| fault | struck | replies -> ends | alarms | exchange | PostgreSQL | positions equal |\n"
    lines = (
        f"| `{row.case.title}` | {row.struck} | {row.did} | {'; '.join(row.alarms) or '-'} "
        f"| {row.exchange} | {row.journal} | {'yes' if row.equal else 'no'} |\n"
        for row in rows
    )
    return head + "|---|---|---|---|---|---|---|\n" + "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Every fault of the sandbox against a real gateway.")
    parser.add_argument("--seed", type=int, help="seed of the market and the faults; default: drawn")
    parser.add_argument("--quick", action="store_true", help="the short form: each fault strikes once")
    parser.add_argument("--only", default="", help="these faults, comma-separated")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown too")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(f"seed {seed}; the same seed draws the same market and faults")
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="kitepilot-faults-") as folder,
        faulty_floor(Path(folder), seed) as floor,
    ):
        for row in run_table(floor, thorough=not options.quick, only=options.only):
            rows.append(row)
            mark = "[red]FAILED[/]" if row.complaints else "[green]ok[/]"
            console.print(f"{mark} {row.case.title}: {row.did}", highlight=False)
    console.print(render(rows))
    if options.markdown:
        print(markdown(rows))
    failed = [row.case.title for row in rows if row.complaints]
    console.print(
        f"{len(rows) - len(failed)} of {len(rows)} rows hold" + (f"; not: {failed}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
