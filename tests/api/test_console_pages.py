"""The console's pages as they are served: to whom, under which policy, with which files."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable

from litestar import Litestar
from litestar.testing import TestClient

from api.console.assets import FOLDER, assets

SignedIn = Callable[..., TestClient[Litestar]]


def test_a_stranger_is_led_to_the_door_and_back(client: TestClient[Litestar]) -> None:
    led = client.get("/?day=2026-11-20", follow_redirects=False)
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=%2F%3Fday%3D2026-11-20")
    assert client.get("/sign-in").status_code == 200


def test_pages_run_nothing_that_is_not_a_file_of_ours(signed_in: SignedIn) -> None:
    served = signed_in("owner").get("/")
    policy = served.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert served.headers["cache-control"] == "no-store"
    links = re.findall(r'(?:src|href)="([^"]+)"', served.text)
    foreign = [link for link in links if link.startswith("http") and "tradingview.com" not in link]
    assert not foreign


def test_every_file_a_page_names_is_served_for_ever_and_changes_its_address(signed_in: SignedIn) -> None:
    client = signed_in("owner")
    names = re.findall(r'"(/assets/[^"]+)"', client.get("/").text)
    assert len(names) > 6
    for name in names:
        found = client.get(name)
        assert found.status_code == 200, name
        assert found.headers["cache-control"].endswith("immutable")
        again = client.get(name, headers={"if-none-match": found.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    old = client.get(names[0].replace(assets().digest, "0" * 16))
    assert old.headers["cache-control"] == "no-cache"


def test_files_travel_compressed(client: TestClient[Litestar]) -> None:
    plain = (FOLDER / "now.js").read_bytes()
    url = assets().url("now.js")
    assert client.get(url, headers={"accept-encoding": "gzip"}).content == plain
    assert client.get(url, headers={"accept-encoding": "identity"}).content == plain
    assert gzip.decompress(assets().files["now.js"].compressed) == plain


def test_no_path_leads_out_of_the_folder(client: TestClient[Litestar]) -> None:
    for name in ("../pages.py", "%2e%2e/pages.py", "..%2fpages.py", "/etc/passwd", "vendor/../../page.py"):
        assert client.get(f"/assets/{assets().digest}/{name}").status_code == 404, name


def test_a_reader_who_may_not_stop_trading_is_shown_no_button(signed_in: SignedIn) -> None:
    assert 'data-stop="halt"' in signed_in("operator").get("/").text
    assert 'data-stop="halt"' not in signed_in("reader").get("/").text


def test_a_name_is_text_on_the_page_whatever_it_holds(signed_in: SignedIn) -> None:
    client = signed_in("owner")
    client.cookies.set("kitepilot-theme", '"><script>alert(1)</script>')
    client.cookies.set("kitepilot-language", "<b>")
    assert "<script>" not in client.get("/").text
