"""`kitepilot users`: who may sign in to the control room, with what role and what second factor."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.config import Config, ConfigError
from kitepilot.run import home

if TYPE_CHECKING:
    import sqlalchemy as sa

    from infra.postgres.accounts import User
    from kitepilot.cli.enrolment import Enrolment

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""Who may sign in to the control room. The first owner is made here.

    A password is asked for, never an argument. The one-time secret and the recovery codes are shown once.

    [dim]kitepilot users add owner@example.com
    kitepilot users add desk@example.com --role operator
    kitepilot users reset owner@example.com          lost phone or password: everything new
    kitepilot users sessions --end-all owner@example.com[/dim]""",
)
EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="As `users list` shows it.")]
RoleOption = Annotated[str, typer.Option("--role", help="owner, operator or reader.")]
ROLES = ("owner", "operator", "reader")


@contextmanager
def _book(config: Config) -> Iterator[sa.Connection]:
    from infra.key_urls import SecretError
    from kitepilot.cli.risk_book import opened

    with clear_errors(SecretError), opened(home(), config, "who may sign in") as db:
        yield db


@app.command()
def add(
    email: EmailArgument, role: RoleOption = "owner", config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Let somebody sign in: asks for a password, shows the code to scan and the recovery codes, once.

    Exit codes: 0, 2 a bad address or role, a weak password, already there.

    [dim]kitepilot users add owner@example.com[/dim]
    """
    from kitepilot.cli import enrolment

    chosen = chosen_config(config)
    with _book(chosen) as db:
        if role not in ROLES:
            raise ConfigError(f"--role {role!r} is none: {', '.join(ROLES)}")
        address = enrolment.require_new(db, email)
        made = enrolment.enrolled(db, chosen, home(), address, role, _password(address))
    _record(email, "added", role=role)
    _show(made, as_json)


@app.command()
def reset(email: EmailArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """A new password, a new code to scan, new recovery codes; whatever was signed in as him is so no more.

    Exit codes: 0, 2 nobody of that address, a weak password.
    """
    from kitepilot.cli import enrolment

    chosen = chosen_config(config)
    with _book(chosen) as db:
        user = enrolment.require(db, email)
        made = enrolment.renewed(db, chosen, home(), user, _password(user.email))
    _record(email, "reset")
    _show(made, as_json)


@app.command()
def disable(
    email: EmailArgument,
    enable: Annotated[bool, typer.Option("--enable", help="Let him in again.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shut somebody out, at once and everywhere; his sessions and programs' tokens end.

    The last owner who may sign in stays. Exit codes: 0, 2 nobody of that address, the last owner.
    """
    from infra.postgres import accounts
    from kitepilot.cli import enrolment

    with _book(chosen_config(config)) as db:
        user = enrolment.require(db, email)
        others = [each for each in accounts.everyone(db) if each.role == "owner" and not each.disabled]
        if not enable and [each.user_id for each in others] == [user.user_id]:
            raise ConfigError(f"{user.email} is the only owner who may sign in: add another one first")
        accounts.disable(db, user.user_id, not enable)
    what = "enabled" if enable else "disabled"
    _record(email, what)
    _say({"email": user.email, what: True}, f"{user.email} is {what}", as_json)


@app.command("list")
def list_users(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Everybody who may sign in, or might."""
    from infra.postgres import accounts

    with _book(chosen_config(config)) as db:
        rows = [_row(db, user) for user in accounts.everyone(db)]
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("e-mail", "role", "", "recovery codes left")
    for row in rows:
        state = "shut out" if row["disabled"] else ""
        table.add_row(row["email"], row["role"], state, str(row["recovery_codes_left"]))
    Console().print(table if rows else "nobody may sign in yet: `kitepilot users add EMAIL`")


@app.command()
def sessions(
    end_all: Annotated[str, typer.Option("--end-all", metavar="EMAIL", help="End all of his.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Where people are signed in. `--end-all` ends a person's sessions and revokes his programs' tokens."""
    from infra.postgres import accounts, sign_ins
    from kitepilot.cli import enrolment
    from kitepilot.market.calendar import to_ist

    with _book(chosen_config(config)) as db:
        if end_all:
            accounts.end_everything(db, enrolment.require(db, end_all).user_id)
        rows = sign_ins.sessions(db, None, 0, 0)
    if end_all:
        _record(end_all, "sessions_ended")
    if as_json:
        print(json.dumps([{"id": r.session_id, "email": r.email, "address": r.address} for r in rows]))
        return
    table = Table("e-mail", "since (IST)", "last use (IST)", "from", "with")
    for row in rows:
        times = (f"{to_ist(at):%Y-%m-%d %H:%M}" for at in (row.began_at_ns, row.seen_at_ns))
        table.add_row(row.email, *times, row.address, row.agent[:40])
    Console().print(table if rows else "nobody is signed in")


@app.command()
def token(
    email: EmailArgument,
    name: Annotated[str, typer.Option("--name", help="What the program is called.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="read, operate, own; again for more.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="Until it ends.")] = 90,
    revoke: Annotated[str, typer.Option("--revoke", metavar="ID", help="Revoke this one instead.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token for a program of this person, shown once; or revoke one. Default scope: read.

    [dim]kitepilot users token owner@example.com --name prometheus > token
    kitepilot users token owner@example.com --revoke 5be1f9c03a77d2e4[/dim]
    """
    from kitepilot.cli import enrolment

    chosen = chosen_config(config)
    with _book(chosen) as db:
        user = enrolment.require(db, email)
        if revoke:
            enrolment.revoke(db, user, revoke)
            made = None
        else:
            made = enrolment.token(db, chosen, home(), user, name, scope or ["read"], days)
    _record(
        email, "token_revoked" if made is None else "token_made", token=revoke or made[0] if made else revoke
    )
    if made is None:
        _say({"revoked": revoke}, f"{revoke} is revoked", as_json)
    else:
        _say({"id": made[0], "token": made[1]}, made[1], as_json)


def _row(db: sa.Connection, user: User) -> dict[str, Any]:
    from infra.postgres import accounts

    left = accounts.codes_left(db, user.user_id)
    return {"email": user.email, "role": user.role, "disabled": user.disabled, "recovery_codes_left": left}


def _password(email: str) -> str:
    """Asked twice at a terminal; one line of standard input elsewhere."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass(f"password for {email} (12 characters or more): ")
    if getpass.getpass("again: ") != first:
        raise ConfigError("the two passwords differ: nothing was changed")
    return first


def _record(email: str, change: str, **facts: str) -> None:
    from infra.audit.acts import record_act
    from kitepilot.audit.acts import USER_CHANGED

    record_act(home(), USER_CHANGED, email.strip().lower(), change=change, **facts)


def _say(plain: dict[str, Any], words: str, as_json: bool) -> None:
    print(json.dumps(plain) if as_json else words)


def _show(made: Enrolment, as_json: bool) -> None:
    """The only time the secrets are shown: on standard output, for the person at this terminal."""
    if as_json:
        plain = {
            "email": made.email,
            "totp_secret": made.secret,
            "totp_uri": made.uri,
            "recovery_codes": made.codes,
        }
        print(json.dumps(plain))
        return
    import segno

    print(f"Scan this with an authenticator app, or type the secret {made.secret}\n")
    segno.make(made.uri).terminal(compact=True)
    print("\nRecovery codes, each good once in place of a code of the app. Keep them on paper:\n")
    for left, right in zip(made.codes[::2], made.codes[1::2], strict=True):
        print(f"  {left}   {right}")
    print(f"\n{made.email} may sign in. None of this is shown again.")
