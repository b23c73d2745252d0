"""dbt's documentation page -> one that asks nobody for anything."""

from __future__ import annotations

_HEAD = '<head><meta charset="utf-8">'
#: Nothing but what is in the page itself. The page's framework compiles its templates, hence 'unsafe-eval'.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data:; font-src data:"
)
_ICON = "href=\"${require('./assets/favicons/favicon.ico')}\""


def self_contained(page: str) -> str:
    """The page with a content policy that refuses every request, and without the one it would make.

    Raises:
        ValueError: it does not begin as dbt's page does (dbt-core 1.11).
    """
    if _HEAD not in page:
        raise ValueError("dbt's page has changed: no <head> where the content policy belongs")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    return page.replace(_HEAD, _HEAD + meta, 1).replace(_ICON, 'href="data:,"', 1)
