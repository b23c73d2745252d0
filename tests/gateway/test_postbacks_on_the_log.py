"""Verified postbacks reach the order truth as order frames do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from broker_adapter.gateway import postbacks
from infra.eventlog.sqlite_log import SqliteLog
from kitepilot.events import FeedChanged, PostbackReceived, encode
from kitepilot.topics import POSTBACKS


def posted(number: int, body: str = "") -> bytes:
    row = json.dumps({"order_id": str(number), "status": "COMPLETE"})
    return encode(
        PostbackReceived(
            source="api", seq=number, event_at=1, order_id=str(number), status="COMPLETE", body=body or row,
            received_at=1,
        )
    )  # fmt: skip


async def test_what_is_posted_from_now_on_is_heard_in_order_and_rubbish_is_passed_over(
    tmp_path: Path,
) -> None:
    log = SqliteLog(tmp_path)
    log.create_topics([POSTBACKS])
    log.append(POSTBACKS.name, [posted(0)])
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    following = asyncio.create_task(postbacks.follow(log, heard.put))
    await asyncio.sleep(0)  # it has begun at the end of the log
    stranger = encode(FeedChanged(source="x", seq=0, event_at=1, state="up"))
    log.append(POSTBACKS.name, [posted(1), b"\xc1", stranger, posted(2, "[1]"), posted(3, "{"), posted(4)])
    async with asyncio.timeout(10):
        assert [(await heard.get())["order_id"] for _ in range(2)] == ["1", "4"]
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    log.close()
