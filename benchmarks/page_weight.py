"""The console's first look over a thin line: largest contentful paint, weight and requests of each page.

A small paper day trades meanwhile; nothing is in the browser's cache. The baseline of the same run is the
page to sign in, which has no figures: it is opened before each other page, so both meet the same machine.

    python benchmarks/page_weight.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "console")]

from playwright.sync_api import Browser, sync_playwright  # noqa: E402
from running_console import Console, chromium, running  # noqa: E402
from thin_line import KIB, Look, first_look  # noqa: E402

from api.console.page import NAVIGATION  # noqa: E402

BASELINE = "/sign-in"
BOUND_S = 2.0


def looks(console: Console, browser: Browser, turns: int) -> dict[str, list[Look]]:
    """Of every page of the navigation, each after a look at the baseline."""
    cookies = console.cookies(console.enrol("owner"))
    found: dict[str, list[Look]] = {}
    for _ in range(turns):
        for place in NAVIGATION:
            for path in (BASELINE, place.path):
                context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-IN")
                context.add_cookies(cookies if path != BASELINE else [])
                found.setdefault(path, []).append(first_look(context.new_page(), console.url + path))
                context.close()
    return found


def summary(found: dict[str, list[Look]]) -> list[dict[str, float | str]]:
    """Medians by page, and their ratio to the baseline's."""
    base = median(each.painted_s for each in found[BASELINE])
    return [
        {
            "page": path,
            "painted_s": round(painted := median(each.painted_s for each in seen), 2),
            "of_it_served_s": round(median(each.served_s for each in seen), 2),
            "to_baseline": round(painted / base, 2),
            "weight_kib": round(median(each.weight_bytes for each in seen) / KIB, 1),
            "requests": median(each.requests for each in seen),
        }
        for path, seen in found.items()
    ]


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    words.add_argument("--quick", action="store_true", help="one turn instead of five")
    words.add_argument("--json", action="store_true")
    asked = words.parse_args()
    program = chromium()
    if program is None:
        print("page_weight: no Chromium on this machine: apt-get install chromium", file=sys.stderr)
        return 2
    with (
        tempfile.TemporaryDirectory() as place,
        running(Path(place) / "home") as console,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        rows = summary(looks(console, browser, 1 if asked.quick else 5))
        browser.close()
    if asked.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    slowest = max(float(row["painted_s"]) for row in rows)
    print(f"slowest {slowest:.2f} s, wanted below {BOUND_S:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
