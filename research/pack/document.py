"""What a page says, before it is HTML or PDF: tiles, sentences, charts, tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["", "good", "bad", "soft"]


@dataclass(frozen=True)
class Tile:
    """One figure of the first screen, with a word below it."""

    name: str
    figure: str
    note: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class Sentence:
    """One sentence, and whether it is good news."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Chart:
    """The same figure twice: `page` takes its colours from the page's CSS, `print` has them in it."""

    title: str
    page: str
    print: str


@dataclass(frozen=True)
class Cell:
    """One cell, as it is read."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Table:
    """`text` names the columns that are words: they begin on the left, the others end on the right.

    `left_out`: how many more rows there are in the file `rest`.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    text: frozenset[str] = frozenset()
    title: str = ""
    left_out: int = 0
    rest: str = ""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.heads) for row in self.rows), "a row has not one cell for each head"


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it. `folded`: closed on the page until it is asked for."""

    title: str
    sentences: tuple[Sentence, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Document:
    """`failed`: why the page is not to be trusted as a whole, a sentence each; empty where all is well."""

    title: str
    subtitle: str
    tiles: tuple[Tile, ...] = ()
    failed: tuple[str, ...] = ()
    attention: tuple[Sentence, ...] = ()
    sections: tuple[Section, ...] = field(default=())
    footer: str = ""
