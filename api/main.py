"""The API process."""

from __future__ import annotations

import uvicorn

from api.app import create_app
from api.control import token_of
from api.services import made
from infra import key_urls
from infra.eventlog import open_log
from kitepilot.run import Run

SHUTDOWN_S = 2
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


def main(run: Run) -> int:
    """Serve until SIGTERM; exit code 1 when the address cannot be bound."""
    log = open_log(run)
    services = made(run, log, api_secret=api_secret(run), token=token_of(run.home))
    services.view.start()
    settings = uvicorn.Config(
        create_app(services),
        host=run.config.api.host,
        port=run.config.api.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        ssl_certfile=run.config.api.tls_certificate or None,
        ssl_keyfile=run.config.api.tls_key or None,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = _Server(settings, run)
    try:
        server.run()
    finally:
        services.view.stop()
        services.close()
        log.close()
    return 0 if server.started else 1
