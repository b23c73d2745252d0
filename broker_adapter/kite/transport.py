"""The stock REST client, set up for orders: one address out, no redirects, no date guessing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broker_adapter.kite import session
from kitepilot.config import BrokerSection

if TYPE_CHECKING:
    from kiteconnect import KiteConnect


def stock_client(broker: BrokerSection, held: session.Session) -> KiteConnect:
    """`KiteConnect` at the configured address. Importing the library takes about a second.

    Its requests leave from `broker.local_ipv4` and so never over IPv6: the broker takes orders from the
    registered address only, and a host with both kinds uses IPv6 addresses that change.
    """
    from kiteconnect import KiteConnect
    from requests.adapters import HTTPAdapter

    class PlainKite(KiteConnect):  # type: ignore[misc]  # the library is not typed
        """The stock client without its date guessing, which costs 0.1 ms a row and gives naive times."""

        def _format_response(self, data: Any) -> Any:
            return data

    class FromHere(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options, source_address=(broker.local_ipv4, 0))

    kite = PlainKite(held.api_key, held.access_token, root=broker.rest_url, timeout=broker.request_timeout_s)
    wire = kite.reqsession
    wire.trust_env = not session.is_loopback(broker.rest_url)
    wire.max_redirects = 0  # an order goes where it was sent, or nowhere
    for scheme in ("http://", "https://"):
        wire.mount(scheme, FromHere())
    return kite
