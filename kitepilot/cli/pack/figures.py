"""The figures of a day that a later version of its pack is compared by: name -> number, paise where said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Figure = int | float | str | bool | None

OF_DAY = ("realised_paise", "unrealised_paise", "charges_paise", "net_pnl_paise", "open_positions")
OF_STRATEGY = ("gross_pnl_paise", "charges_paise", "net_pnl_paise")
OF_RESULT = (
    "gross_pnl_paise",
    "charges_paise",
    "net_pnl_paise",
    "orders",
    "fills",
    "round_trips",
    "reconciled",
)


def figures_of(
    rows: Mapping[str, Sequence[Mapping[str, Any]]], result: Mapping[str, Any]
) -> dict[str, Figure]:
    """From the marts as they are, and from the run's own conclusion (`at the close`), whichever there is."""
    found: dict[str, Figure] = {}
    if minutes := rows.get("fct_pnl_minutes"):
        last = max(minutes, key=lambda row: row["minute_at"])
        found |= {f"account {name}": last[name] for name in OF_DAY}
    for row in sorted(rows.get("fct_pnl_daily", ()), key=lambda row: (row["strategy"], row["tradingsymbol"])):
        whose = f"{row['strategy']} {row['tradingsymbol']}"
        found |= {f"{whose} {name}": row[name] for name in OF_STRATEGY}
    for row in rows.get("fct_charges_daily", ()):
        found[f"charge {row['charge_line']} charges_paise"] = row["charges_paise"]
    for row in rows.get("fct_compliance", ()):
        found[f"rule {row['rule']}"] = row["status"]
    for row in rows.get("fct_reconciliation", ()):
        found[f"comparison {row['check_name']}"] = row["status"]
    found |= {f"at the close {name}": result[name] for name in OF_RESULT if name in result}
    return found
