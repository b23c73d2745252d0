"""Failures of a process -> Sentry, when an address for it lies somewhere; without secrets."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

import sentry_sdk

from infra import key_urls
from infra.masking import masked
from kitepilot import __version__
from kitepilot.run import Run

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

FLUSH_S = 2.0


def tell_failures(dsn_at: str, process: str, run: Run) -> None:
    """Uncaught exceptions and errors that libraries log; without the values of variables.

    An address that cannot be had is told and nothing else: a process trades without it.
    """
    try:
        sentry_sdk.init(
            dsn=key_urls.read(dsn_at),
            release=__version__,
            environment=run.config.mode,
            before_send=without_secrets,
            include_local_variables=False,
            send_default_pii=False,
            max_breadcrumbs=0,
            traces_sample_rate=0.0,
            auto_session_tracking=False,
            shutdown_timeout=FLUSH_S,
        )
    except (key_urls.SecretError, sentry_sdk.utils.BadDsn) as err:
        sys.stderr.write(f"failures are told to nobody: {err}\n")
        return
    sentry_sdk.set_tags({"process": process, "run_id": run.run_id, "config_hash": run.config_hash})


def without_secrets(event: Event, _hint: Hint) -> Event:
    """Every text of it masked; the machine's name is nobody's business."""
    clean: dict[str, Any] = masked(event)
    clean.pop("server_name", None)
    return cast("Event", clean)
