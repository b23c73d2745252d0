"""The files in `static/` -> what browsers are served: from memory, compressed.

The address holds a digest of all of them: a page that was made by this version asks for this version's files.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from api.identity.guards import OPEN

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
KEPT = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """One file, plain and compressed. `tag` is its ETag."""

    media_type: str
    plain: bytes
    compressed: bytes
    tag: str


@dataclass(frozen=True)
class Assets:
    """All of them by name; `digest` names the set."""

    digest: str
    files: dict[str, Asset]

    def url(self, name: str) -> str:
        """Where a page finds it. Raises KeyError: there is none."""
        self.files[name]
        return f"/assets/{self.digest}/{name}"


@cache
def assets() -> Assets:
    """Read once; what changes on disk afterwards is served after the next start."""
    files = {
        path.relative_to(FOLDER).as_posix(): _asset(path)
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in TYPES
    }
    together = hashlib.blake2b(digest_size=8)
    for name, each in files.items():
        together.update(f"{name} {each.tag}\n".encode())
    return Assets(together.hexdigest(), files)


def _asset(path: Path) -> Asset:
    plain = path.read_bytes()
    tag = f'"{hashlib.blake2b(plain, digest_size=12).hexdigest()}"'
    return Asset(TYPES[path.suffix], plain, gzip.compress(plain, 9, mtime=0), tag)


@get(
    "/assets/{digest:str}/{name:path}",
    opt=OPEN,  # the sign-in page needs them
    include_in_schema=False,
)
async def asset(
    request: Request[Any, Any, Any], digest: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """A file by name out of the table: no path of the asker's ever reaches the disk."""
    served = assets()
    found = served.files.get(str(name).lstrip("/"))
    if found is None:
        raise NotFoundException("no such file")
    headers = {"etag": found.tag, "vary": "accept-encoding"}
    headers["cache-control"] = KEPT if digest == served.digest else "no-cache"
    if request.headers.get("if-none-match") == found.tag:
        return Response(b"", status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(found.compressed, media_type=found.media_type, headers=headers)
    return Response(found.plain, media_type=found.media_type, headers=headers)
