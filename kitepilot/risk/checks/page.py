"""The checks -> their reference pages, as Markdown. `make docs` writes them, a test holds them equal."""

from __future__ import annotations

from kitepilot.events import RiskLimits
from kitepilot.risk.checks.proposal import EntryCheck
from kitepilot.risk.checks.table import ENTRY_CHECKS
from kitepilot.risk.profiles import LIMITS

OBSERVED = " Observed: "


def denials() -> str:
    """One row per check, in the order in which they run."""
    lines = ["| code | the entry was refused because | observed | against |", "|---|---|---|---|"]
    for check in ENTRY_CHECKS:
        why, seen = words(check)
        lines.append(f"| `{check.code}` | {why} | {seen} | {against(check)} |")
    return "\n".join(lines) + "\n"


def limits(defaults: RiskLimits) -> str:
    """One row per limit of a profile: its key, what it means, its default, and which codes compare it."""
    lines = ["| key under `risk` | meaning | default | tighter is | refuses with |", "|---|---|---|---|---|"]
    for each in LIMITS:
        key = f"`risk.{setting(each.field)}`"
        codes = ", ".join(
            f"`{check.code}`" for check in ENTRY_CHECKS if key in against(check) or check.code == each.field
        )
        tighter = "lower" if each.higher_is_looser else "higher"
        shown = each.text(defaults)
        lines.append(f"| `{setting(each.field)}` | {each.meaning} | {shown} | {tighter} | {codes} |")
    return "\n".join(lines) + "\n"


def words(check: EntryCheck) -> tuple[str, str]:
    """Why it refuses, and what it looks at: the two halves of its docstring."""
    text = " ".join((check.compare.__doc__ or "").split())
    why, _, seen = text.partition(OBSERVED)
    return _clause(why), _clause(seen)


def against(check: EntryCheck) -> str:
    """The limit as the configuration names it, or the check's own words."""
    name = check.limit
    return f"`risk.{setting(name)}`" if name in RiskLimits.__struct_fields__ else name


def setting(limit: str) -> str:
    """A field of `RiskLimits` -> its key under `risk`: people write rupees."""
    return limit.removesuffix("_paise") + "_rupees" if limit.endswith("_paise") else limit


def _clause(text: str) -> str:
    """A sentence as a part of another."""
    return (text[:1].lower() + text[1:]).rstrip(".")
