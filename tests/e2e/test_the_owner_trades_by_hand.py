"""The owner trades the same account from his phone during the day: every book knows, and still agrees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from paper_house import HOUR_NS, OPEN_NS, House, PaperDay, values

from broker_adapter.kite.session import KITE_VERSION, load
from kitepilot.events import ForeignFilled, Reconciled, decode
from kitepilot.market.instruments import parse_instruments
from kitepilot.topics import SESSION

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(900)]


def trade_by_hand(paper: PaperDay, side: str, quantity: int) -> None:
    """A market order without a tag on the first instrument."""
    run = paper.current()
    held = load(run)
    listed = parse_instruments((run.folder / "instruments.csv").read_bytes())
    form = {
        "exchange": "NSE", "tradingsymbol": next(i.tradingsymbol for i in listed if i.tradable),
        "product": "MIS", "transaction_type": side, "quantity": quantity, "order_type": "MARKET",
        "market_protection": 2, "validity": "DAY",
    }  # fmt: skip
    headers = {**KITE_VERSION, "Authorization": f"token {held.api_key}:{held.access_token}"}
    url = f"{run.config.broker.rest_url}/orders/regular"
    reply = httpx.post(url, data=form, headers=headers, trust_env=False)
    assert reply.status_code == 200, reply.text


def test_trades_by_hand_are_in_every_book_and_the_day_is_proved(
    build_house: Callable[..., House], tmp_path: Path
) -> None:
    house = build_house(tmp_path / "home", instruments=6)
    with house.paper() as paper:
        paper.await_time(OPEN_NS + HOUR_NS // 4)
        trade_by_hand(paper, "BUY", 40)
        paper.await_time(OPEN_NS + HOUR_NS)
        trade_by_hand(paper, "SELL", 40)
        day = paper.wait()
    assert day.code == 0, day.err[-2000:]
    result = day.result
    assert result["reconciled"], result["first_difference"]
    row = next(row for row in result["reconciliation"]["rows"] if row[0].strip() == "not ours")
    assert int(row[1]) >= 2 and set(row[1:5]) == {row[1]}
    log = house.log()
    start = house.run(result["run_id"]).start_offsets()[SESSION.name]
    told = [decode(value) for value in values(log, SESSION.name, start)]
    log.close()
    by_hand = [event for event in told if isinstance(event, ForeignFilled)]
    assert sum(event.side.sign * event.quantity for event in by_hand) == 0
    found = [event for event in told if isinstance(event, Reconciled)]
    assert {event.verdict for event in found} <= {"equal", "healed"}, found
    assert found[-1].occasion == "end_of_day" and found[-1].verdict == "equal"
