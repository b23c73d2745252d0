"""Kite's REST, as far as intraday equity needs it: every reply in Kite's envelope, refusals too.

One module per noun of Kite's documentation; `app` puts them together, `desk` is what they share.
"""

from broker_adapter.sandbox.rest.app import build_rest
from broker_adapter.sandbox.rest.desk import Desk
from broker_adapter.sandbox.rest.portfolio import position_rows

__all__ = ["Desk", "build_rest", "position_rows"]
