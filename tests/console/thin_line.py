"""A page over a thin line, as a phone has it on a poor day: when it is painted, and what it weighs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: "Fast 3G" of Chrome's developer tools (read 2026-11): half a second there and back for each request.
FAST_3G = {"offline": False, "latency": 562, "downloadThroughput": 200_000, "uploadThroughput": 93_750}
KIB = 1024
SETTLED_MS = 4_000  # figures that arrive later are news, not the first look
PAINTED = """
window.painted = [];
new PerformanceObserver((list) => list.getEntries().forEach((each) => window.painted.push(each.startTime)))
  .observe({type: "largest-contentful-paint", buffered: true});
"""
WEIGHED = """performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))
  .map((each) => each.transferSize)"""


class Look(NamedTuple):
    """The first look: largest contentful paint, the server's own share of it, bytes, requests."""

    painted_s: float
    served_s: float
    weight_bytes: int
    requests: int


def first_look(page: Page, url: str) -> Look:
    """Open `url` with nothing in the cache, and look until nothing larger is painted for a while."""
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send("Network.setCacheDisabled", {"cacheDisabled": True})
    line.send("Network.emulateNetworkConditions", FAST_3G)
    page.add_init_script(PAINTED)
    page.goto(url, wait_until="domcontentloaded")
    page.wait_for_timeout(SETTLED_MS)
    sizes = page.evaluate(WEIGHED)
    served_ms = page.evaluate(
        "(() => { const [it] = performance.getEntriesByType('navigation');"
        f" return it.responseStart - it.requestStart - {FAST_3G['latency']}; }})()"
    )
    painted = [each for each in page.evaluate("window.painted") if each <= SETTLED_MS] or [float("nan")]
    return Look(painted[-1] / 1e3, max(served_ms, 0.0) / 1e3, sum(sizes), len(sizes))
