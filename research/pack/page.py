"""A document -> one self-contained HTML page: nothing is loaded from anywhere, no script, light and dark."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from research.pack.document import Document
from research.plots import CSS


def html(document: Document) -> str:
    """The same document gives the same text."""
    environment = Environment(
        loader=PackageLoader("research.pack", "."),
        autoescape=select_autoescape(["j2", "html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(css=CSS, document=document)
