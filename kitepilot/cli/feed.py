"""The feed as the ingester last described it, for a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NS = 1_000_000_000
COUNTS_FILE = "ingest_counts.json"
SHOWN = ("reconnects", "bad_frames", "backfilled_bars", "minutes_to_backfill")


def feed_state(folder: Path, now: int) -> dict[str, Any]:
    """What is known of the feed of the run in `folder`; empty before the ingester's first word.

    `now` is the machine's clock (ns UTC). The ingester writes every two seconds, so the age of the last frame
    is right to that; it grows while nothing comes, and while the ingester is dead.
    """
    try:
        counts = json.loads((folder / COUNTS_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    age_s = max(now - counts["frame_at"], 0) / NS if counts.get("frame_at") else None
    return {"state": counts.get("feed", "unknown"), "frame_age_s": age_s} | {
        name: counts.get(name, 0) for name in SHOWN
    }


def feed_line(feed: dict[str, Any]) -> str:
    """`up, last frame 0.4 s ago, 2 reconnects, 150 bars backfilled`."""
    if not feed:
        return "not heard of yet"
    age_s = feed["frame_age_s"]
    parts = [feed["state"], "no frame yet" if age_s is None else f"last frame {age_s:,.1f} s ago"]
    words = {
        "reconnects": "reconnects",
        "bad_frames": "frames buried",
        "backfilled_bars": "bars backfilled",
        "minutes_to_backfill": "minutes still to backfill",
    }
    return ", ".join(parts + [f"{feed[name]} {word}" for name, word in words.items() if feed[name]])
