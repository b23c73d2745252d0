"""`kitepilot risk`: the limits in force, their history, and changing them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.config import Config, ConfigError
from kitepilot.events import RiskProfile
from kitepilot.market import calendar
from kitepilot.risk import versions
from kitepilot.risk.profiles import LIMITS, Limit
from kitepilot.risk.versions import ProfileVersion
from kitepilot.run import home

if TYPE_CHECKING:
    from kitepilot.cli.risk_change import Change

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""The owner's limits: what is in force and used, who changed what and why, and changing them.

    A change is a new version; versions are never altered. It acts at once in a run that is up. The
    configuration's [b]risk[/b] section is the ceiling: no version may be looser.

    [dim]kitepilot risk show
    kitepilot risk set daily_loss=15000 open_positions=8 --reason "thin market today"
    kitepilot risk set blocked=INFY,SBIN --reason "results" --from "2026-11-23"
    kitepilot risk activate 3 --reason "back to normal"[/dim]""",
)
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the version.")]

#: What `/status` says is used of a limit, in the limit's own unit (paise for rupees).
USED = {
    "daily_loss": "worst_case_paise",
    "drawdown": "drawdown_paise",
    "gross_exposure": "gross_exposure_paise",
    "open_positions": "open_positions",
    "orders_per_day": "orders",
    "trades_per_day": "trades",
}


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The limits in force: value, ceiling, what is used now if a run is up, and what each means.

    Used of `daily_loss` is the worst case: what the day would lose if everything open ran to its stop.
    """
    from kitepilot.cli import risk_change

    with clear_errors():
        run = risk_change.running(home())
        chosen = run.config if run else chosen_config(config)
        used = _used(chosen) if run else {}
        present, waiting = _in_force(chosen, used.get("profile_version", 0))
    rows = [_row(each, present, chosen, used) for each in LIMITS]
    if as_json:
        print(json.dumps({"version": present.version, "mode": chosen.mode, "limits": rows}))
        return
    console = Console()
    table = Table("limit", "in force", "ceiling", *(["used"] if run else []), "what it bounds")
    table.columns[0].no_wrap = True
    for row in rows:
        middle = [row["used"]] if run else []
        table.add_row(row["name"], row["text"], row["ceiling"], *middle, row["meaning"])
    named = f"version {present.version}" if present.version else "the configuration (no run has been opened)"
    console.print(f"{chosen.mode}: {named}; sizing {versions.sizing_text(present)}", highlight=False)
    for name in ("allowed", "blocked"):
        if symbols := getattr(present, name):
            console.print(f"{name}: {', '.join(symbols)}", highlight=False)
    console.print(table)
    for each in waiting:
        console.print(f"version {each.version} waits for {_ist(each.active_from)}: {each.reason}")


@app.command()
def history(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every version: when, who, why, and what it changed."""
    from kitepilot.cli import risk_change

    with clear_errors():
        run = risk_change.running(home())
        found = _history(run.config if run else chosen_config(config))
    rows = list(zip(found, [None, *found], strict=False))
    if as_json:
        print(json.dumps([_entry(each, before) for each, before in rows]))
        return
    table = Table("version", "made", "in force from", "who", "why", "what changed")
    for each, before in rows:
        entry = _entry(each, before)
        table.add_row(
            *(str(entry[key]) for key in ("version", "made", "from", "by", "reason")), _lines(entry)
        )
    Console().print(table)


@app.command("set")
def set_limits(
    words: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="Rupees, bps, counts; see `risk show`.")
    ],
    reason: ReasonOption,
    starts: Annotated[
        str | None,
        typer.Option(
            "--from", help='Wait: in force from the first run opened then ("2026-11-23 09:00" IST).'
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change limits: a new version, in force at once, also in a run that is up.

    Besides limits: `allowed=A,B` (only these are entered), `blocked=A,B` (these never are; empty clears), and
    `sizing=METHOD sizing.PARAMETER=VALUE`.
    """
    from kitepilot.cli import risk_change, risk_words
    from kitepilot.risk import edits

    with clear_errors():
        starts_at = risk_words.ist_time(starts) if starts else None
        made = risk_change.change(
            home(),
            chosen_config(config),
            lambda present, _: edits.changed(present, words),
            _why(reason),
            starts_at,
        )
    _told(made, as_json, starts)


@app.command()
def activate(
    version: Annotated[int, typer.Argument(help="One of `risk history`.")],
    reason: ReasonOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back: an older version's settings as a new version, in force at once."""
    from kitepilot.cli import risk_change

    def older(_present: RiskProfile, history: list[ProfileVersion]) -> RiskProfile:
        found = next((each for each in history if each.version == version), None)
        if found is None:
            raise ConfigError(f"there is no version {version}: `kitepilot risk history` lists them")
        if found.profile is None:
            raise ConfigError(f"version {version} is of another KitePilot, with other limits")
        return found.profile

    with clear_errors():
        made = risk_change.change(home(), chosen_config(config), older, _why(reason), None)
    _told(made, as_json, None)


def _why(reason: str) -> str:
    if not reason.strip():
        raise ConfigError("--reason is empty: say why, you will read it again")
    return reason.strip()


def _told(made: Change, as_json: bool, starts: str | None) -> None:
    if as_json:
        print(json.dumps({"version": made.profile.version, "changes": made.changes, "taken": made.taken}))
        return
    console = Console()
    when = f"from the first run opened at or after {starts}" if starts else "in force at the next opening"
    console.print(made.taken or f"version {made.profile.version}, {when}", highlight=False, soft_wrap=True)
    for line in made.changes:
        console.print(f"  {line}", highlight=False)
    for number in made.overtaken:
        console.print(f"[yellow]version {number}, which waited for its time, is older now and stays out[/]")


def _in_force(config: Config, running: int) -> tuple[RiskProfile, list[ProfileVersion]]:
    """The version `running`; 0: as the next opening would find it, and numbered 0 where it would make one."""
    from infra.postgres.profile_changes import session_now

    found, at, configured = _history(config), session_now(config), config.risk.profile()
    present = versions.in_force([each for each in found if running in (0, each.version)], at)
    if running and present is not None:
        return present, versions.waiting(found, at)
    if present is None or versions.says_something_new(configured, found):
        present = versions.numbered(configured, 0)
    return present, versions.waiting(found, at)


def _history(config: Config) -> list[ProfileVersion]:
    from infra.postgres import risk_profiles
    from kitepilot.cli import risk_book

    with risk_book.opened(home(), config) as connection:
        return risk_profiles.history(connection, config.mode)


def _used(config: Config) -> dict[str, Any]:
    import httpx

    from kitepilot.cli import own_api

    try:
        return own_api.status(home(), config)
    except (httpx.HTTPError, ValueError):
        return {}


def _row(limit: Limit, present: RiskProfile, config: Config, used: dict[str, Any]) -> dict[str, Any]:
    now = used.get(USED.get(limit.name, ""), "")
    if now != "" and limit.unit == "rupees":
        now = f"{now / 100:,.2f}"
    return {
        "name": limit.name,
        "unit": limit.unit,
        "value": limit.value(present.limits),
        "text": limit.text(present.limits),
        "ceiling": limit.text(config.risk.limits()),
        "used": str(now),
        "meaning": limit.meaning,
    }


def _entry(each: ProfileVersion, before: ProfileVersion | None) -> dict[str, Any]:
    return {
        "version": each.version,
        "made": each.created_at.astimezone(calendar.IST).strftime("%Y-%m-%d %H:%M"),
        "from": _ist(each.active_from) if each.active_from else "at once",
        "by": each.created_by,
        "reason": each.reason,
        "changes": versions.changes(before.profile if before else None, each.profile),
    }


def _lines(entry: dict[str, Any]) -> str:
    return "\n".join(entry["changes"])


def _ist(ns: int) -> str:
    return calendar.to_ist(ns).strftime("%Y-%m-%d %H:%M IST")
