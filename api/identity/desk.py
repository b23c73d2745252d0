"""Everything sign-in is made of, once for a process: the book of people, keys, sessions, tokens, the gate."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from api.identity.accounts import Accounts
from api.identity.deeds import Deeds
from api.identity.gate import Gate, Way, by_home_token, by_metrics_token
from api.identity.home_proof import by_home_proof
from api.identity.keys import csrf_key, token_key
from api.identity.passwords import PasswordCost, Passwords
from api.identity.peers import Names
from api.identity.sessions import Sessions
from api.identity.sign_in import SignInDesk
from api.identity.tokens import Tokens
from infra import sign_in_key
from infra.key_urls import SecretError
from infra.postgres.embedded import database_url
from infra.sign_in_key import SignInKey
from kitepilot.run import Run

_LOG = logging.getLogger("kitepilot.api")


@dataclass
class Identity:
    """`sign_in` is None where the key to the secrets cannot be had: `trouble` says why nobody signs in."""

    accounts: Accounts
    sessions: Sessions
    tokens: Tokens
    sign_in: SignInDesk | None
    key: SignInKey | None
    deeds: Deeds
    gate: Gate
    trouble: str = ""

    def close(self) -> None:
        self.accounts.close()


def identity_of(
    run: Run,
    token: str,
    metrics_token: str = "",
    *,
    now: Callable[[], int] = time.time_ns,
    cost: PasswordCost | None = None,
    names: tuple[str, ...] = (),
    ways: tuple[Way, ...] = (),
) -> Identity:
    """For the home of `run`; `token` is the home's own, `metrics_token` the one that opens the metrics alone.

    `names`: further hosts we are asked for by; `ways`: further ways to prove who one is.
    """
    api = run.config.api
    accounts, deeds = Accounts(lambda: database_url(run)), Deeds(run.home, run.run_id)
    key, signing, trouble = _keys(run)
    sessions = Sessions(accounts, csrf_key(signing), now, tls=api.tls)
    tokens = Tokens(accounts, token_key(signing), now)
    desk = SignInDesk(accounts, Passwords(cost), sessions, key, deeds, now) if key else None
    gate = Gate(
        (
            by_home_token(token),
            by_home_proof(token, now),
            by_metrics_token(metrics_token),
            tokens.way,
            sessions.way,
            *ways,
        ),
        now,
        names=Names((api.host, *api.hosts, *names), tls=api.tls),
        proves_its_page=sessions.proves_its_page,
    )
    return Identity(accounts, sessions, tokens, desk, key, deeds, gate, trouble)


def _keys(run: Run) -> tuple[SignInKey | None, bytes, str]:
    """The keys; without them random ones that nothing was signed with, and why."""
    try:
        key = SignInKey(sign_in_key.key_url(run.config, run.home))
        return key, key.signing_key(run.home), ""
    except (SecretError, OSError) as err:
        _LOG.error("nobody can sign in: %s", err)
        return None, secrets.token_bytes(64), str(err)
