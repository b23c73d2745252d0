"""Fixtures of the gateway's tests; what they are made of is in `trading_floor`."""

from __future__ import annotations

from trading_floor import exchange, floor, postgres_url

__all__ = ["exchange", "floor", "postgres_url"]
