"""What the served application of these tests is given."""

from __future__ import annotations

import time

from api.identity import OPERATE, OWN, READ, Principal, Role
from api.identity.passwords import PasswordCost
from api.identity.peers import Connection

SECRET = "s3cret"
TOKEN = "t0ken"
METRICS_TOKEN = "c0llects"
TEST_HOST = "testserver.local"
SESSION = "s"
CHEAP = PasswordCost(passes=1, memory_kib=64, lanes=1)
AT = 1_795_150_800_000_000_000  # 2026-11-20 10:30:00 IST


async def by_name(connection: Connection) -> Principal | None:
    """Stands for the sessions: the header names role and age of the one-time code."""
    role, _, fresh = connection.headers.get("x-test-principal", "").partition(" ")
    if not role:
        return None
    at = time.time_ns() if fresh else 0
    return Principal(role, f"{role}@example.test", Role(role), frozenset({READ, OPERATE, OWN}), at, SESSION)
