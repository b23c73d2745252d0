"""From the log to the eye: how old an order event is when a browser has painted it, beside a plain reader.

    python benchmarks/live_page.py [--seconds 20]

The API runs as its own process over an embedded log, and events are said as `live_readers.py` says them. Two
look on in the same seconds: a reader of the stream, which notes when it has a line, and the page Now in
Chromium, which notes when the line stands on the screen (in the list of orders, after the frame was drawn).
Both ages count from the machine's time at which the event was handed to the log. Prints one JSON object; the
aim is 250 ms p95 in the page. Needs Chromium, like the tests of the console.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from live_readers import AIM_MS, SAYS_PER_S, Speaker, listen, made, served
from playwright.sync_api import Page, sync_playwright

WITHIN_S = 120.0
#: Notes [the order's quantity, ms UTC] once the frame that shows it has been drawn.
NOTES = r"""() => {
  const list = document.getElementById('orders');
  let last = 0;
  window.painted = [];
  new MutationObserver(() => {
    const shown = [...list.querySelectorAll('b')].map((each) => each.textContent.match(/\/([\d,]+) @/));
    const fresh = shown.map((each) => Number(each[1].replaceAll(',', ''))).filter((each) => each > last);
    last = Math.max(last, ...fresh);
    setTimeout(() => fresh.forEach((each) => painted.push([each, Date.now()])));
  }).observe(list, { childList: true });
}"""


def said_for(speaker: Speaker, seconds: float) -> None:
    """Events at the pace of a day, meanwhile."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        next_at = time.monotonic() + 1 / SAYS_PER_S
        speaker.say()
        time.sleep(max(0.0, next_at - time.monotonic()))


def looked_on(page: Page, speaker: Speaker, port: int, token: str, seconds: float) -> tuple[list[float], ...]:
    """Ages in ms: as a reader had them, and as the page had painted them."""
    read: list[float] = []

    async def reading() -> None:
        task = asyncio.create_task(listen(port, token, read))
        await asyncio.sleep(2.0)  # the stream opens, and is sent its snapshot
        read.clear()
        before = speaker.count
        await asyncio.to_thread(said_for, speaker, seconds)
        while len(read) < speaker.count - before and time.monotonic() < give_up:
            await asyncio.sleep(0.1)
        task.cancel()

    give_up = time.monotonic() + seconds + WITHIN_S
    thread = threading.Thread(target=asyncio.run, args=(reading(),))
    thread.start()
    while thread.is_alive():
        page.wait_for_timeout(100)  # the browser's own messages are taken meanwhile
    page.wait_for_timeout(1_000)  # what was said last is drawn
    painted = [at - speaker.said_ms[number] for number, at in page.evaluate("painted")]
    return read, painted


def main() -> int:
    """0 when the page shows events within the aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
        probe.close()
        run, log = made(Path(folder), port)
        with served(run, port) as token, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_context(
                extra_http_headers={"authorization": f"Bearer {token}"}, locale="en-IN"
            ).new_page()
            speaker = Speaker(log, run.run_id)
            speaker.say()
            page.goto(f"http://127.0.0.1:{port}/", timeout=WITHIN_S * 1e3)
            page.locator("html[data-link=live]").wait_for(state="attached", timeout=WITHIN_S * 1e3)
            page.evaluate(NOTES)
            read, painted = looked_on(page, speaker, port, token, asked.seconds)
            browser.close()
        log.close()
    found = {
        who: {"events": len(ages), **{f"p{p}_ms": round(float(np.percentile(ages, p)), 1) for p in (50, 95)}}
        for who, ages in {"reader": read, "page": painted}.items()
    }
    ratio = round(found["page"]["p95_ms"] / found["reader"]["p95_ms"], 2)
    print(json.dumps({**found, "aim_ms": AIM_MS, "p95_page_to_reader": ratio}))
    return 0 if found["page"]["p95_ms"] <= AIM_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
