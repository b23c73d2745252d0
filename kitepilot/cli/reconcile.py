"""The proof at the end of a day: the venue, PostgreSQL, the decision fold and ClickHouse say the same.

Books of the account, with what others traded on it, are built independently (the venue's own rows, the
gateway's journal, a fresh fold of the `session` log, the archive) and laid side by side: counts, shares,
turnover, realised P&L and charges to the paisa, then fill by fill. The archive's rows are counted against the
log's offsets, so a lost message shows. The first difference is named.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import create_engine, text

from kitepilot.cli import books
from kitepilot.cli.books import Book, Fill, Totals
from kitepilot.cli.tape import Tape
from kitepilot.cli.venue import Venue, VenueBooks, VenueUnreadableError
from kitepilot.events import ApprovedIntent, Purpose, Side, SignalRaised
from kitepilot.money import rupees
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import SESSION, TOPICS

MONEY = ("turnover_paise", "realised_paise", "charges_paise")
TITLES = {
    "intents": "intents",
    "orders": "broker orders",
    "fills": "fills",
    "foreign_fills": "  not ours",
    "bought": "shares bought",
    "sold": "shares sold",
    "turnover_paise": "turnover ₹",
    "realised_paise": "realised ₹",
    "charges_paise": "charges ₹",
    "open_positions": "still open",
}

_FILLS = "select order_id, trade_id, token, side, quantity, price_paise, traded_at_ns from"
_OF_RUN = "where run_id = :run"


@dataclass
class Proof:
    """The books' totals, what could not be linked, and the differences found, first one first."""

    names: list[str] = field(default_factory=list)
    columns: list[Totals] = field(default_factory=list)
    messages: list[tuple[str, int, int]] = field(default_factory=list)  # topic, in the log, archived
    unlinked_orders: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def reconciled(self) -> bool:
        return not self.differences

    @property
    def first_difference(self) -> str:
        return self.differences[0] if self.differences else ""

    @property
    def totals(self) -> Totals:
        """The venue's figures: it has the last word. Where it could not be read, the journal's."""
        return self.columns[0]

    @property
    def logged(self) -> int:
        """Messages of the run in the log, all topics."""
        return sum(logged for _, logged, _ in self.messages)

    @property
    def archived(self) -> int:
        """Messages of the run that the archive accounts for."""
        return sum(archived for _, _, archived in self.messages)

    def table(self) -> dict[str, Any]:
        """Rows for the terminal and the report."""
        rows: list[list[str]] = []
        for name, title in TITLES.items():
            values = [getattr(column, name) for column in self.columns]
            kept = {v for v in values if v is not None}
            cells = ["-" if v is None else rupees(v) if name in MONEY else f"{v:,}" for v in values]
            rows.append([title, *cells, "=" if len(kept) == 1 else "DIFFERS"])
        return {"heads": ["", *self.names, ""], "rows": rows}


def prove(run: Run, log: EventLog, venue: Venue, open_after_cutoff: list[str]) -> Proof:
    """Build and compare all books of a run. A venue that cannot be read is a difference, the first one."""
    journal, archive = journal_book(run), archive_book(run)
    try:
        seen, trouble = venue.books(), ""
    except VenueUnreadableError as err:
        seen, trouble = None, str(err)
    on = date.fromisoformat(run.config.session.date)
    columns = {journal.name: journal.totals(on), "decisions": fold_totals(run, log)}
    proof = lay_side_by_side(venue.name, seen, trouble, columns | {archive.name: archive.totals(on)}, on)
    _compare(proof, [journal, archive] if seen is None else [seen.book, journal, archive])
    _links(run, proof, seen.book if seen else None, journal)
    _messages(run, log, proof)
    proof.differences += [f"positions held after the cutoff: {found}" for found in open_after_cutoff]
    return proof


def lay_side_by_side(
    name: str, seen: VenueBooks | None, trouble: str, columns: dict[str, Totals], on: date
) -> Proof:
    """The venue's column first, where it could be read; and whether it agrees with itself."""
    if seen is None:
        found = [f"the {name}'s books could not be read: {trouble}"]
        return Proof(list(columns), list(columns.values()), differences=found)
    proof = Proof([name, *columns], [seen.book.totals(on), *columns.values()])
    if not seen.quiet:
        proof.differences.append(f"trades came in while the {name}'s books were read")
        return proof
    traded = {token: held.quantity for token, held in seen.book.positions().items()}
    for token in sorted(traded.keys() | seen.positions.keys()):
        said, added_up = seen.positions.get(token, 0), traded.get(token, 0)
        if said != added_up:
            proof.differences.append(
                f"position in {token}: {said} by the {name}'s own count, {added_up} by its trades"
            )
    return proof


def _compare(proof: Proof, kept: list[Book]) -> None:
    """All totals, and then the order by order `kept` books, against the first of each."""
    first = (proof.names[0], proof.columns[0])
    for name, column in zip(proof.names[1:], proof.columns[1:], strict=True):
        if found := books.compare_totals(first, (name, column)):
            proof.differences.append(str(found))
    for other in kept[1:]:
        for found in (books.compare_orders(kept[0], other), books.compare_fills(kept[0], other)):
            if found:
                proof.differences.append(str(found))
    if proof.totals.open_positions:
        proof.differences.append(f"{proof.totals.open_positions} positions are open at the end of the day")


def journal_book(run: Run) -> Book:
    """The gateway's journal in PostgreSQL."""
    book = Book("PostgreSQL")
    engine = create_engine(_database_url(run))
    with engine.connect() as db:
        who = {"run": run.run_id}
        book.intents = db.execute(text("select count(*) from intents where run_id = :run"), who).scalar_one()
        orders = text("select order_id, intent_id from orders where run_id = :run and order_id <> ''")
        book.orders = {row.order_id: row.intent_id for row in db.execute(orders, who)}
        for row in db.execute(text("select * from foreign_orders where run_id = :run"), who):
            book.orders[row.order_id] = ""
            if row.by_broker:
                book.by_broker.add(row.order_id)
        for row in db.execute(
            text(f"{_FILLS} fills {_OF_RUN} union all {_FILLS} foreign_fills {_OF_RUN}"), who
        ):
            book.add(
                Fill(
                    row.order_id,
                    row.trade_id,
                    row.token,
                    Side(row.side),
                    row.quantity,
                    row.price_paise,
                    row.traded_at_ns,
                )
            )
    engine.dispose()
    return book


def archive_book(run: Run) -> Book:
    """The archive in ClickHouse."""
    from infra.clickhouse import book as archive

    book = Book("ClickHouse")
    book.intents = archive.count_intents(run)
    book.orders = dict.fromkeys(archive.foreign_orders(run), "") | archive.orders(run)
    book.by_broker = archive.orders_by_broker(run)
    for row in archive.fills(run):
        book.add(Fill(**row))
    return book


def fold_totals(run: Run, log: EventLog) -> Totals:
    """A fresh fold of the run's `session` log through the decision flow's own function."""
    from kitepilot.risk.admission import admit, admitted
    from kitepilot.risk.refold import fold_all, summary

    start = run.start_offsets()[SESSION.name]
    tape = Tape(log, SESSION.name, start, log.end_offset(SESSION.name), decode=admit)
    state, _ = fold_all(admitted(tape.values()))
    if state is None:
        return Totals(0, None, 0, 0, 0, 0, 0, 0, 0, 0)
    s = summary(state)
    traded = (*s.instruments, *s.owners)
    net: Counter[int] = Counter()
    for each in traded:
        net[each.token] += each.quantity
    return Totals(
        intents=s.orders,
        orders=None,
        fills=s.fills + s.foreign_fills,
        bought=sum(i.bought_quantity for i in traded),
        sold=sum(i.sold_quantity for i in traded),
        turnover_paise=sum(i.bought_paise + i.sold_paise for i in traded),
        realised_paise=sum(i.realised_paise for i in traded),
        charges_paise=s.account_charges_paise,
        open_positions=sum(quantity != 0 for quantity in net.values()),
        foreign_fills=s.foreign_fills,
    )


def _links(run: Run, proof: Proof, venue: Book | None, journal: Book) -> None:
    """Every order has an intent, a run and a config hash in the journal, or was adopted as not ours."""
    listed = venue.orders if venue else {}
    engine = create_engine(_database_url(run))
    query = text(
        "select count(*) from orders o "
        "left join intents i using (run_id, intent_id) left join runs r using (run_id) "
        "where o.run_id = :run "
        "and (i.intent_id is null or r.run_id is null or i.config_hash <> r.config_hash)"
    )
    with engine.connect() as db:
        unlinked = db.execute(query, {"run": run.run_id}).scalar_one()
    engine.dispose()
    strangers = sum(not intent and name not in journal.orders for name, intent in listed.items())
    proof.unlinked_orders = unlinked + strangers
    if proof.unlinked_orders:
        proof.differences.append(
            f"{unlinked} orders lack an intent, a run or its config; "
            f"{strangers} carry no tag of ours and were not adopted"
        )


def uncited(run: Run, intents: Iterable[ApprovedIntent], signals: Iterable[SignalRaised]) -> list[str]:
    """Entries that followed a score and cite no model, or one that neither the registry nor the run has."""
    from kitepilot.cli.model_days import cited

    following = {signal.signal_id for signal in signals if signal.rests_on}
    entries = [each for each in intents if each.purpose is Purpose.ENTRY and each.signal_id in following]
    found = [f"{each.intent_id} followed a score and cites no model" for each in entries if not each.models]
    named = {model for each in entries for model in each.models} - {run.config.models.online}
    unknown = named - cited(run.config, run.home, named) if named else set()
    return found + [f"the registry does not have {model}, which orders cite" for model in sorted(unknown)]


def _messages(run: Run, log: EventLog, proof: Proof) -> None:
    """Offsets of each topic against what the archive read: nothing lost."""
    from infra.clickhouse.book import archived_records

    archived = archived_records(run)
    starts = run.start_offsets()
    for topic in TOPICS:
        logged = log.end_offset(topic.name) - starts[topic.name]
        proof.messages.append((topic.name, logged, archived.get(topic.name, 0)))
        if logged != archived.get(topic.name, 0):
            proof.differences.append(
                f"topic {topic.name}: {logged} in the log, {archived.get(topic.name, 0)} archived"
            )


def earlier_tags(run: Run, tags: list[str]) -> set[str]:
    """Those of `tags` that another run has journaled: a second run of the day finds them in the book."""
    engine = create_engine(_database_url(run))
    query = text("select tag from orders where run_id <> :run and tag = any(:tags)")
    with engine.connect() as db:
        found = set(db.execute(query, {"run": run.run_id, "tags": tags}).scalars())
    engine.dispose()
    return found


def record_result(run: Run, result: dict[str, Any]) -> None:
    """Close the run's row."""
    engine = create_engine(_database_url(run))
    with engine.begin() as db:
        db.execute(
            text("update runs set ended_at = now(), result = cast(:result as jsonb) where run_id = :run"),
            {"run": run.run_id, "result": json.dumps(result)},
        )
    engine.dispose()


def _database_url(run: Run) -> Any:
    from infra.postgres.embedded import database_url

    return database_url(run)
