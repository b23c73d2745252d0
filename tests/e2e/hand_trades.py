"""The owner's own orders at the exchange, as from his phone: without a tag."""

from __future__ import annotations

import httpx
from paper_house import PaperDay

from broker_adapter.kite.session import KITE_VERSION, load
from kitepilot.market.instruments import parse_instruments


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
