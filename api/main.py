"""The API process."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import uvicorn
from litestar import Litestar

from api.app import create_app
from api.connections import BACKLOG, Bounds, Door, guests_of
from api.control import token_of
from api.services import made
from infra import key_urls
from infra.eventlog import open_log
from kitepilot.run import Run

SHUTDOWN_S = 2
OPEN_FILES = 4_096
METRICS_TOKEN = "KITEPILOT_METRICS_TOKEN"  # noqa: S105 the name of the variable
METRICS_TOKEN_FILE = "metrics.token"  # noqa: S105 the name of the file
API_SECRET = "env:KITEPILOT_API_SECRET"  # noqa: S105 where it lies, unless the configuration says otherwise


def api_secret(run: Run) -> str:
    """The secret that postbacks are signed with; "" where it is not to be had: they are refused then."""
    try:
        return key_urls.read(run.config.broker.api_secret_url or API_SECRET)
    except key_urls.SecretError:
        return ""


class _Server(uvicorn.Server):
    """Says that it is ready once the socket listens."""

    def __init__(self, config: uvicorn.Config, run: Run) -> None:
        super().__init__(config)
        self._run = run

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            self._run.mark_ready("api")


def metrics_token(home: Path) -> str:
    """What collects metrics shows it: $KITEPILOT_METRICS_TOKEN, else the file of the home. Raises OSError."""
    return os.environ.get(METRICS_TOKEN) or token_of(home, METRICS_TOKEN_FILE)


def settings(run: Run, app: Litestar) -> uvicorn.Config:
    """How it is served: by TLS where it is configured, in bounded time and number."""
    return uvicorn.Config(
        app,
        host=run.config.api.host,
        port=run.config.api.port,
        http=guests_of(Door(Bounds())),
        loop="api.connections:ImpatientLoop",
        backlog=BACKLOG,
        log_level="warning",
        access_log=False,
        server_header=False,
        ssl_certfile=run.config.api.tls_certificate or None,
        ssl_keyfile=run.config.api.tls_key or None,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


def _allow_files(wanted: int) -> None:
    """Handshakes that are not finished hold one each, before any bound of ours sees them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main(run: Run) -> int:
    """Serve until SIGTERM; exit code 1 when the address cannot be bound."""
    log = open_log(run)
    token, scraper = token_of(run.home), metrics_token(run.home)
    services = made(run, log, api_secret=api_secret(run), token=token, metrics_token=scraper)
    services.view.start()
    _allow_files(OPEN_FILES)
    server = _Server(settings(run, create_app(services)), run)
    try:
        server.run()
    finally:
        services.view.stop()
        services.close()
        log.close()
    return 0 if server.started else 1
