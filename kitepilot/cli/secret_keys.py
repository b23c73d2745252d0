"""`kitepilot secrets`: new keys for what is kept sealed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.config import Config, ConfigError
from kitepilot.run import home

if TYPE_CHECKING:
    from infra.key_rotation import Rotated, Shelf

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""Keys that secrets are sealed with. Where they lie is configuration; what they are is not shown.

    [dim]kitepilot secrets rotate
    kitepilot secrets rotate --config live.yaml[/dim]""",
)


@app.callback()
def _root() -> None:
    pass


@app.command()
def rotate(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """New keys for one-time secrets, the tokens' signing key and the day's login; everything is sealed anew.

    It may be done while trading and be cut off at any moment: what is sealed can always be opened, and the
    next `rotate` goes on. Nobody is signed out. A key in an environment variable is changed by you: put a
    new one before it, a space between, rotate while nothing runs, take the old one away. What others gave
    you (API secret, addresses of alerts) is changed where it was made. The key of the audit's seals seals
    nothing shut: `kitepilot audit key`.

    Exit codes: 0, 2 a key cannot be had or changed.

    [dim]kitepilot secrets rotate[/dim]
    """
    from infra.key_urls import SecretError

    with clear_errors(SecretError):
        chosen = _chosen(config)
        done = dict(_rotated(chosen))
    if as_json:
        print(json.dumps({name: vars(each) | {"lost": list(each.lost)} for name, each in done.items()}))
        return
    for name, each in done.items():
        _tell(name, each)
    if not done:
        Console().print("nothing is sealed yet")


def _rotated(config: Config) -> Iterator[tuple[str, Rotated]]:
    from broker_adapter.kite import session
    from infra import key_rotation, sign_in_key
    from kitepilot.cli.risk_book import served

    login = key_rotation.Files((home() / session.FILE,))
    if login.sealed():
        yield "login", _of("login", config, session.key_url(config), [login])
    with ExitStack() as stack:
        people = key_rotation.OneTimeSecrets(stack.enter_context(served(home(), config, "who may sign in")))
        signing = key_rotation.Files((home() / sign_in_key.FOLDER / sign_in_key.SIGNING_KEY,))
        if people.sealed() or signing.sealed():
            yield "sign-in", _of("sign-in", config, sign_in_key.key_url(config, home()), [people, signing])


def _of(name: str, config: Config, url: str, shelves: list[Shelf]) -> Rotated:
    """One key's rotation, in the audit when it begins and when it is done."""
    from infra.audit.acts import record_act
    from infra.key_rotation import rotate as change
    from infra.key_urls import keeps
    from kitepilot.audit.acts import SECRETS_ROTATED
    from kitepilot.cli.supervise import Supervisor

    _require_restarted(Supervisor(home()).alive() and not keeps(url), url)
    record_act(home(), SECRETS_ROTATED, name, mode=config.mode, step="begun")
    done = change(url, shelves)
    record_act(
        home(),
        SECRETS_ROTATED,
        name,
        mode=config.mode,
        step="done",
        resealed=done.resealed,
        lost=len(done.lost),
    )
    return done


def _require_restarted(held: bool, url: str) -> None:
    if held:
        raise ConfigError(
            f"the processes that run have {url} as it was when they began, and would not open what is sealed "
            "anew: `kitepilot down` first"
        )


def _chosen(config: ConfigOption) -> Config:
    """As given, else that of the run that is up, whose keys are meant."""
    from kitepilot.cli.risk_change import running

    run = running(home()) if config is None else None
    return run.config if run else chosen_config(config)


def _tell(name: str, done: Rotated) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{name}: a new key, {done.resealed} sealed anew")
    if not done.old_key_gone:
        console.print("  the old key is needed no more: take it out of its place, the second of the two")
    for lost in done.lost:
        console.print(f"  [yellow]no key opens {lost}[/]: make a new one (`users reset`, `login`)")
