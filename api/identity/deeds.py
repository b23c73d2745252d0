"""What people do at the API -> the home's log of acts: who, from where, and what came of it."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from anyio import to_thread

from infra.audit.acts import record_act
from kitepilot.ports import LogError

_LOG = logging.getLogger("kitepilot.api")


class Deeds:
    """Writes acts of one home. What cannot be written is said in the API's log; the deed stands."""

    def __init__(self, home: Path, run_id: str) -> None:
        self._home = home
        self._run_id = run_id

    async def record(self, act: str, subject: str, by: str, address: str, **facts: str | int | bool) -> None:
        """Durable on return. Never a secret."""
        said = partial(
            record_act,
            self._home,
            act,
            subject,
            self._run_id,
            by=f"{by or 'a stranger'} from {address}",
            **facts,
        )
        try:
            await to_thread.run_sync(said)
        except (LogError, OSError) as err:
            _LOG.error("the act %s of %s is not in the audit: %s", act, by, err)
