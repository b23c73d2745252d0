"""Ids derived from names, so that importing twice changes nothing and no id stands in a file."""

from __future__ import annotations

from uuid import UUID, uuid5

NAMESPACE = UUID("3c0f2b52-6d3e-5a0e-9c55-6b69746570ff")
DATABASE = str(uuid5(NAMESPACE, "database:ClickHouse"))


def identity(kind: str, key: str) -> str:
    """The uuid of a dataset, chart or dashboard, from its file's name."""
    return str(uuid5(NAMESPACE, f"{kind}:{key}"))
