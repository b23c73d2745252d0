"""Style sheets and data that travel inside a page: on a thin line each request costs more than their bytes.

A style is allowed by its digest in the page's policy, as it is and nothing else; data is inert, and cannot
end its element.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache

import msgspec
from markupsafe import Markup

from api.console.assets import assets


class Inlay:
    """What one page holds. `sources` is what its policy must allow besides, known once it was rendered."""

    def __init__(self) -> None:
        self._digests: list[str] = []

    @property
    def sources(self) -> str:
        return "".join(f" 'sha256-{each}'" for each in self._digests)

    def style(self, name: str) -> Markup:
        """The style sheet of that name. Raises KeyError: there is none."""
        text, digest = _style(name)
        self._digests.append(digest)
        return Markup("<style>{}</style>").format(Markup(text))  # noqa: S704 a file of ours

    def data(self, name: str, value: object) -> Markup:
        """JSON, or anything it can say, for scripts to find by the element's id."""
        body = value if isinstance(value, bytes) else msgspec.json.encode(value)
        text = body.decode().replace("<", "\\u003c")  # only strings hold one
        return Markup('<script type="application/json" id="{}">{}</script>').format(name, Markup(text))  # noqa: S704


@cache
def _style(name: str) -> tuple[str, str]:
    """Its text and the digest that a policy names it by."""
    plain = assets().files[name].plain
    return plain.decode(), base64.b64encode(hashlib.sha256(plain).digest()).decode()
