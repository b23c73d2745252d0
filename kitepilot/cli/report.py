"""The day on one page: an HTML file with an equity curve, readable without a network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, select_autoescape

from kitepilot.money import rupees

IST = ZoneInfo("Asia/Kolkata")
WIDTH, HEIGHT, MARGIN = 900, 260, 46
MINUTE_NS = 60_000_000_000


@dataclass(frozen=True)
class EquityPoint:
    """The account at one instant of session time; net is realised + unrealised - charges."""

    at: int
    net_paise: int
    open_positions: int


class EquityCurve:
    """One point a minute plus the last, however many marks go by."""

    def __init__(self) -> None:
        self.points: list[EquityPoint] = []
        self._last: EquityPoint | None = None

    def add(self, at: int, net_paise: int, open_positions: int) -> None:
        point = EquityPoint(at, net_paise, open_positions)
        if not self.points or at // MINUTE_NS > self.points[-1].at // MINUTE_NS:
            self.points.append(point)
        self._last = point

    def all(self) -> list[EquityPoint]:
        if self._last is None or self._last == self.points[-1]:
            return self.points
        return [*self.points, self._last]


def ist_clock(at_ns: int) -> str:
    """`15:04:05` in IST."""
    return datetime.fromtimestamp(at_ns / 1e9, UTC).astimezone(IST).strftime("%H:%M:%S")


def ist_millis(at_ns: int) -> str:
    """`15:04:05.123` in IST."""
    return f"{ist_clock(at_ns)}.{at_ns // 1_000_000 % 1000:03d}"


def chart(points: list[EquityPoint]) -> dict[str, Any]:
    """SVG geometry of the equity curve: a path, the zero line, four time labels, the extremes."""
    if len(points) < 2:
        return {}
    low = min(0, *(p.net_paise for p in points))
    high = max(0, *(p.net_paise for p in points))
    span = max(1, high - low)
    first, last = points[0].at, max(points[-1].at, points[0].at + 1)

    def x(at: int) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (at - first) / (last - first)

    def y(paise: int) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (paise - low) / span

    marks = [first + (last - first) * i // 4 for i in range(5)]
    return {
        "path": " ".join(f"{x(p.at):.1f},{y(p.net_paise):.1f}" for p in points),
        "zero": y(0),
        "labels": [(x(at), ist_clock(at)[:5]) for at in marks],
        "high": (y(high), rupees(high)),
        "low": (y(low), rupees(low)),
        "width": WIDTH,
        "height": HEIGHT,
        "margin": MARGIN,
    }


def write(path: Path, result: dict[str, Any], tables: dict[str, Any], curve: list[EquityPoint]) -> Path:
    """Render the page to `path` and return it."""
    environment = Environment(
        loader=PackageLoader("kitepilot.cli", "templates"), autoescape=select_autoescape(["html"])
    )
    environment.filters["rupees"] = rupees
    page = environment.get_template("day.html").render(result=result, chart=chart(curve), **tables)
    path.write_text(page)
    return path
