"""HTTP postbacks -> the `postbacks` topic, once their checksum proves that the broker sent them.

A postback is a hint for the gateway. Whoever cannot prove that he knows the API secret is refused; what was
taken before is answered and not kept again. The checksum is SHA-256 over order id, order time as printed and
secret (Kite documentation of postbacks, read 2026-07-14).
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

import msgspec
from anyio import CapacityLimiter

from kitepilot.events import PostbackReceived, encode
from kitepilot.ports import EventLog
from kitepilot.topics import POSTBACKS

MAX_BYTES = 16_384  # a postback has about one kilobyte
REMEMBERED = 4_096  # bodies, by digest
AT_ONCE = 4


class _Signed(msgspec.Struct):
    """The fields of a postback that are looked at here."""

    order_id: str
    order_timestamp: str
    status: str
    checksum: str


class PostbackDesk:
    """Takes postbacks from any thread. `now` is session time in ns; `counts` by what became of them.

    They have threads of their own (`lane`): a log that hangs holds these, and nobody else's.
    """

    def __init__(self, secret: str, log: EventLog, now: Callable[[], int]) -> None:
        self._secret = secret
        self._log = log
        self._now = now
        self._turn = threading.Lock()
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._source = f"api-{time.time_ns()}"
        self._seq = 0
        self.counts: Counter[str] = Counter()
        self.lane = CapacityLimiter(AT_ONCE)

    def take(self, body: bytes) -> tuple[int, str]:
        """HTTP status, and taken | repeated | unsigned | unreadable | too_large | no_secret.

        Raises:
            LogError: it could not be kept; the broker may try again.
        """
        with self._turn:
            code, word = self._take(body)
            self.counts[word] += 1
            return code, word

    def _take(self, body: bytes) -> tuple[int, str]:
        if not self._secret:
            return 503, "no_secret"
        if len(body) > MAX_BYTES:
            return 413, "too_large"
        try:
            signed = msgspec.json.decode(body, type=_Signed)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            return 400, "unreadable"
        wanted = f"{signed.order_id}{signed.order_timestamp}{self._secret}".encode()
        if not hmac.compare_digest(hashlib.sha256(wanted).hexdigest().encode(), signed.checksum.encode()):
            return 403, "unsigned"
        digest = hashlib.blake2b(body, digest_size=16).digest()
        if digest in self._seen:
            return 200, "repeated"
        self._keep(signed, body)
        self._seen[digest] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return 200, "taken"

    def _keep(self, signed: _Signed, body: bytes) -> None:
        received_at = time.time_ns()
        event = PostbackReceived(
            source=self._source,
            seq=self._seq,
            event_at=self._now(),
            order_id=signed.order_id,
            status=signed.status,
            body=body.decode(),
            received_at=received_at,
        )
        self._log.append(POSTBACKS.name, [encode(event, emitted_at=received_at)])
        self._seq += 1
