"""A page that is watched: what it may not do, what it asked; and how everything on it is opened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request


@dataclass
class Watched:
    """What a page did that it may not do, and what it asked of ClickHouse."""

    faults: list[str] = field(default_factory=list)
    queries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def watch(self, page: Page, url: str) -> None:
        page.on("pageerror", lambda err: self.faults.append(f"script: {err}"))
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("request", lambda request: self._asked(request, url))
        page.on("response", lambda got: self._got(got.status, got.url))

    def _said(self, kind: str, text: str) -> None:
        if kind == "error":
            self.faults.append(f"console: {text}")

    def _asked(self, request: Request, url: str) -> None:
        if (
            not request.url.startswith(("data:", "blob:"))
            and urlsplit(request.url).netloc != urlsplit(url).netloc
        ):
            self.faults.append(f"leaves the machine: {request.url}")
        if "/api/v1/chart/data" in request.url and request.post_data:
            asked = json.loads(request.post_data)
            slice_id = asked.get("form_data", {}).get("slice_id")
            if slice_id:
                self.queries[str(slice_id)] = asked

    def _got(self, status: int, url: str) -> None:
        if status >= 400:
            self.faults.append(f"{status}: {url}")


def charts_of(node: Any) -> set[str]:
    """The charts that a dashboard's rows show."""
    if isinstance(node, dict):
        inner = {chart for value in node.values() for chart in charts_of(value)}
        return inner | ({node["chart"]} if "chart" in node else set())
    return {chart for item in node for chart in charts_of(item)} if isinstance(node, list) else set()


def open_everything(page: Page) -> Iterator[str]:
    """The page with each of its tabs in turn; the tab's title, empty for a page without."""
    tabs = page.locator("[data-test=dashboard-component-tabs] [role=tab]")
    if tabs.count() == 0:
        yield ""
    for number in range(tabs.count()):
        tabs.nth(number).click()
        yield tabs.nth(number).inner_text()
