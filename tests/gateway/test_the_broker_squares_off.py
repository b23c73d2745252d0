"""The broker closes our position itself and tells nobody: found by reading, and no exit of ours turns it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_account_watch import rows, told
from test_gateway_trades import ended, gateway, until
from trading_floor import Floor, opened, sandbox

from infra.postgres.tables import foreign_orders
from kitepilot.cli.opening import decision_parameters
from kitepilot.events import (
    Alarmed,
    AnyEvent,
    ApprovedIntent,
    ForeignFilled,
    Marked,
    Purpose,
    Reconciled,
    RunStarted,
    SessionEvent,
    Side,
    SignalRaised,
    Sizing,
    StateChanged,
    TradingState,
    encode,
)
from kitepilot.market.calendar import ist_ns
from kitepilot.risk.decide import decide
from kitepilot.risk.records import Decided
from kitepilot.risk.state import DeskState
from kitepilot.topics import SESSION

pytestmark = pytest.mark.stack

DAY = date(2026, 11, 20)
BEFORE, LATE = "15:08", ist_ns(DAY, "15:14")  # the broker closes stocks with a closing auction at 15:13
FINDINGS = "gateway.findings"


@pytest.fixture
def late_floor(postgres_url: str, tmp_path: Path) -> Iterator[Floor]:
    with (
        sandbox(ist_ns(DAY, BEFORE), "--from", BEFORE, "--speed", "1") as venue,
        opened(venue, postgres_url, tmp_path) as floor,
    ):
        yield floor


@dataclass
class Decisions:
    """What the market and decision flows say of one stock, of a desk that leaves only at `LATE`."""

    floor: Floor
    stock: dict[str, Any] = field(default_factory=dict)
    said: int = 0

    def begin(self) -> None:
        listed = self.floor.exchange.get("/admin/instruments")
        auction = frozenset(int(row["token"]) for row in listed if row["closing_auction"])
        plan = decision_parameters(self.floor.run, auction)
        late = {"entry_cutoff_at": LATE, "square_off_at": LATE}
        terms = tuple(msgspec.structs.replace(each, **late) for each in plan.instruments)
        of_auction = (i for i in self.floor.instruments if i.token in auction)
        self.stock = self.quoted(next(of_auction).tradingsymbol)
        changed = msgspec.structs.replace(
            plan,
            instruments=terms,
            profile=msgspec.structs.replace(  # it fills at once
                plan.profile,
                limits=msgspec.structs.replace(
                    plan.profile.limits, entry_protection_bps=150
                ),  # fills at once
                sizing=Sizing(
                    method="fixed_notional", parameters={"notional_paise": 12 * self.stock["last_paise"]}
                ),
            ),
        )
        run = self.floor.run
        words = {"run_id": run.run_id, "mode": "paper", "config_hash": run.config_hash}
        self._say(RunStarted(source="runner", seq=0, event_at=self.now(), parameters=changed, **words))

    def now(self) -> int:
        return int(self.floor.exchange.get("/admin/state")["session_time_ns"])

    def quoted(self, symbol: str) -> dict[str, Any]:
        row = self.floor.quotes()[f"NSE:{symbol}"]
        bid, ask = (row["depth"][side][0]["price"] for side in ("buy", "sell"))
        prices = {"last_paise": row["last_price"], "bid_paise": bid, "ask_paise": ask}
        found = {name: round(price * 100) for name, price in prices.items()}
        return {"token": row["instrument_token"], "tradingsymbol": symbol, **found}

    def mark(self, at: int) -> None:
        self.stock = self.quoted(self.stock["tradingsymbol"])
        prices = {name: [self.stock[name]] for name in ("last_paise", "bid_paise", "ask_paise")}
        head = self._head(at)
        self._say(Marked(**head, received_at=0, tokens=[self.stock["token"]], quoted_at=[at], **prices))

    def wish(self, at: int) -> None:
        said = {"strategy": "vwap_reversion", "side": Side.BUY, "signal_id": "s", "strength": 0.5}
        plan = {"interval_s": 1, "horizon_s": 3_600, "stop_bps": 0, "take_profit_bps": 0}
        seen = {"bar_close_at": at, "received_at": 0, "features": {}, "scores": {}}
        self._say(SignalRaised(**self._head(at), **self.stock, **said, **plan, **seen))

    def _head(self, at: int) -> dict[str, Any]:
        self.said += 1
        return {"source": "market-0", "seq": self.said - 1, "event_at": at}

    def _say(self, event: SessionEvent) -> None:
        self.floor.log.append(SESSION.name, [encode(event)])


def folded(log: Iterable[AnyEvent]) -> tuple[DeskState, list[Decided]]:
    """What the risk process makes of a session's log."""
    state: DeskState | None = None
    out: list[Decided] = []
    for event in log:
        state, decided = decide(state, event)  # type: ignore[arg-type]
        out += decided
    assert state is not None
    return state, out


def intents(out: list[Decided]) -> list[ApprovedIntent]:
    return [each for each in out if isinstance(each, ApprovedIntent)]


async def test_the_brokers_square_off_is_found_told_and_no_exit_turns_the_position(late_floor: Floor) -> None:
    floor = late_floor
    decisions = Decisions(floor)
    decisions.begin()
    at = decisions.now()
    decisions.mark(at)
    decisions.wish(at)
    (entry,) = intents(folded(floor.read(SESSION.name))[1])
    token, framed = entry.token, set()

    async with gateway(floor) as house:
        heard = house._truth.heard

        async def listened(row: dict[str, Any]) -> None:
            framed.add(row["order_id"])
            await heard(row)

        house._truth.heard = listened  # type: ignore[method-assign]
        floor.send(entry)
        await until(ended(floor, entry), 60)
        held = folded(floor.read(SESSION.name))[0].position(token).quantity
        assert held > 0, "nothing to square off"
        floor.exchange.post("/admin/speed", {"speed": 60})
        await until(lambda: sum(e.quantity for e in told(floor, ForeignFilled)) >= held, 90)
        floor.exchange.post("/admin/speed", {"speed": 1})

    (order_id,) = {e.order_id for e in told(floor, ForeignFilled)}
    (ours,) = floor.exchange.orders_of([entry])
    assert order_id not in framed and ours["order_id"] in framed, "it was told of, not found"
    fills = list(told(floor, ForeignFilled))
    assert {(e.token, e.side, e.by_broker, e.placed_by) for e in fills} == {(token, Side.SELL, True, "RMS")}
    assert sum(e.quantity for e in fills) == held and len({e.trade_id for e in fills}) == len(fills)
    (kept,) = rows(floor, foreign_orders)
    assert (kept.order_id, kept.by_broker, kept.status) == (order_id, True, "filled")
    assert kept.filled_quantity == held
    alarms = [(e.kind, e.halts) for e in told(floor, Alarmed) if e.subject == order_id]
    assert alarms == [("broker_order", True)]
    assert list(told(floor, Reconciled))[-1].verdict == "equal"

    decisions.mark(LATE)  # time for us to leave
    log = floor.read(SESSION.name)
    state, out = folded(log)
    assert state.position(token).quantity == 0 and state.owners_quantity(token) == 0
    assert intents(out) == [entry], "an exit would open a position the other way"
    assert state.trading is TradingState.HALTED
    assert any(isinstance(e, StateChanged) and "broker_order" in e.reason for e in out)
    assert (state.ledger.auto_square_offs, state.strangers) == (1, 0)
    trades = floor.exchange.get("/admin/book")["trades"]
    assert {t["order_id"] for t in trades} == {order_id, ours["order_id"]}

    blind = intents(folded(e for e in log if e.source != FINDINGS)[1])
    assert [(e.purpose, e.side, e.quantity) for e in blind[1:]] == [(Purpose.SQUARE_OFF, Side.SELL, held)], (
        "without what was found an exit would have gone: else this proves nothing"
    )
