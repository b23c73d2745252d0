"""Every word of the console by key, in each language; `{name}` in a text is filled in where it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

CATALOGUES = Path(__file__).parent / "catalogues"
LANGUAGES = ("en-IN", "hi-IN")
FIRST = LANGUAGES[0]


@cache
def catalogue(language: str) -> dict[str, str]:
    """Key -> text. Raises KeyError: a language that there is none for."""
    if language not in LANGUAGES:
        raise KeyError(language)
    read: dict[str, str] = json.loads((CATALOGUES / f"{language}.json").read_text("utf-8"))
    return read


def speaker(language: str) -> Callable[..., str]:
    """`t(key, **values)` for templates. Raises KeyError: a key that is none."""
    texts = catalogue(language)

    def t(key: str, **values: object) -> str:
        return texts[key].format(**values) if values else texts[key]

    return t


def chosen(cookie: str, accepted: str) -> str:
    """The reader's own choice; else the first language of the browser that there is; else English."""
    wanted = [cookie, *(each.partition(";")[0].strip() for each in accepted.split(","))]
    for each in wanted:
        for language in LANGUAGES:
            if each and (each == language or language.startswith(f"{each.partition('-')[0]}-")):
                return language
    return FIRST
