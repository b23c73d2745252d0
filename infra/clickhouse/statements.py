"""Just enough of ClickHouse's lexer to route a statement: its kind, its data, where it ends.

The engine parses; this only decides between streaming, inserting and plain execution, and refuses what a
server would refuse over HTTP but the embedded engine would run (several statements at once).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

#: Bytes of a statement's head that are looked at; an INSERT's column list fits many times over.
HEAD_BYTES = 1 << 18

_TOKEN = re.compile(
    rb"""(?P<space>[\s\x00]+)|(?P<comment>--[^\n]*\n?|\#[ !][^\n]*\n?|/\*.*?\*/)"""
    rb"""|(?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"""
    rb"""|(?P<string>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)"""
    rb"""|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<word>[A-Za-z_]\w*)|(?P<other>.)""",
    re.S,
)
_TRAILING_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*(?:SETTINGS\s+[^;()]*)?;?\s*$", re.I)
_INSERT_WITHOUT_DATA = (b"SELECT", b"WITH", b"VALUES", b"INFILE", b"WATCH")

#: Statements that answer with rows.
WITH_RESULT = frozenset(
    ("SELECT WITH SHOW DESC DESCRIBE EXPLAIN EXISTS CHECK KILL FROM BACKUP RESTORE WATCH").split()  # noqa: SIM905 - a table of words
)
STREAMABLE = frozenset(("SELECT", "WITH", "FROM"))


#: Functions that read files, run programs or see this process, which the engine's rights do not cover, and
#: the settings by which SQL hides in a string or in another dialect.
OUTWARD = frozenset(
    "file python executable eval dialect additional_table_filters additional_result_filter".split()  # noqa: SIM905 - a table of words
)


class Token(NamedTuple):
    """One significant token; comments and white space are left out."""

    kind: str
    text: bytes
    start: int
    end: int


class InsertData(NamedTuple):
    """`INSERT .. FORMAT X <data>`: the statement up to FORMAT, the format, where the data begins."""

    statement: str
    format: str
    data_offset: int


def tokens(text: bytes, limit: int = HEAD_BYTES) -> Iterator[Token]:
    """Significant tokens of the first `limit` bytes."""
    position, end = 0, min(len(text), limit)
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:
            return
        position = found.end()
        # `lastgroup` would name the heredoc's inner tag, which closes first but is opened later
        kind = next(name for name, value in found.groupdict().items() if value is not None)
        if kind not in ("space", "comment"):
            yield Token(kind, found.group(), found.start(), found.end())


def first_words(text: bytes, count: int = 3) -> list[str]:
    """The first words in upper case, opening brackets skipped: `(SELECT 1)` begins with SELECT."""
    words: list[str] = []
    for token in tokens(text):
        if token.kind == "open" and not words:
            continue
        if token.kind != "word" or len(words) == count:
            break
        words.append(token.text.decode().upper())
    return words


def has_second_statement(text: bytes) -> bool:
    """Whether something follows the first `;`. Reads all of the text."""
    if b";" not in text.rstrip()[:-1]:
        return False
    ended = False
    for token in tokens(text, len(text)):
        if ended and token.text != b";":
            return True
        ended = ended or token.text == b";"
    return False


def names_a_file(text: bytes) -> bool:
    """Whether a statement wants INTO OUTFILE or FROM INFILE, the client's files: not over HTTP."""
    lowered = text.lower()
    if b"outfile" not in lowered and b"infile" not in lowered:
        return False
    words = (token.text.upper() for token in tokens(text, len(text)) if token.kind == "word")
    return any(word in (b"OUTFILE", b"INFILE") for word in words)


def reaches_out(text: bytes) -> str | None:
    """The first name in a statement by which SQL leaves the tables; None for all but a few statements.

    A name counts wherever it stands (`APPLY file`, `arrayMap(file, ..)`) and however it is quoted.
    """
    lowered = text.lower()
    if b"\\" not in text and not any(name.encode() in lowered for name in OUTWARD):
        return None
    for token in tokens(text, len(text)):
        if token.kind == "word" and (name := token.text.lower().decode()) in OUTWARD:
            return name
        if (
            token.kind == "string"
            and token.text[:1] in (b"`", b'"')
            and (name := _unquoted(token)) in OUTWARD
        ):
            return name
    return None


def _unquoted(token: Token) -> str:
    """The name a quoted identifier means; nobody writes letters as escapes but to hide them."""
    text = token.text[1:-1].decode("utf-8", "replace").lower()
    return "file" if "\\x" in text else text.replace("\\", "")


def insert_data(text: bytes) -> InsertData | None:
    """The parts of `INSERT .. FORMAT X <data>`; None if the engine should run the whole text itself."""
    depth, into = 0, False
    found = tokens(text)
    for token in found:
        depth += (token.kind == "open") - (token.kind == "close")
        if token.kind != "word" or depth:
            continue
        word = token.text.upper()
        if into and word in _INSERT_WITHOUT_DATA:
            return None
        into = into or word == b"INTO"
        if word == b"FORMAT":
            return _with_format(text, token.start, next(found, None))
    return None


def _with_format(text: bytes, statement_end: int, name: Token | None) -> InsertData | None:
    if name is None or name.kind != "word" or name.text.upper() == b"VALUES":
        return None
    offset = name.end
    while text[offset : offset + 1] in (b" ", b"\t", b"\r"):
        offset += 1
    if text[offset : offset + 1] == b"\n":
        offset += 1
    return InsertData(text[:statement_end].decode(), name.text.decode(), offset)


def trailing_format(text: str) -> str | None:
    """The format named at the end of a statement with a result."""
    found = _TRAILING_FORMAT.search(text[-4096:])
    return found[1] if found else None


def quoted(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    """A back-quoted name."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
