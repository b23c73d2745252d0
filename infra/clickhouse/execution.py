"""One checked request -> engine -> answer: streamed rows, a whole answer, or an insert."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from infra.clickhouse import statements
from infra.clickhouse.bodies import UploadedTable, held
from infra.clickhouse.engine import Engine, EngineConnection
from infra.clickhouse.errors import RequestError, described
from infra.clickhouse.requests import Request

#: Formats without a header or footer: blocks of them may be sent one by one.
_CONCATENABLE = frozenset(
    ("native tabseparated tsv csv rowbinary jsoneachrow tsvraw tabseparatedraw jsoncompacteachrow").split()  # noqa: SIM905 - a table of words
)
_JSON, _LINES = "application/json; charset=UTF-8", "application/x-ndjson; charset=UTF-8"
_CONTENT_TYPES = {
    "json": _JSON,
    "jsoncompact": _JSON,
    "jsonstrings": _JSON,
    "jsoneachrow": _LINES,
    "jsoncompacteachrow": _LINES,
    "csv": "text/csv; charset=UTF-8; header=absent",
    "csvwithnames": "text/csv; charset=UTF-8; header=present",
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    **dict.fromkeys(("native", "rowbinary", "arrow", "arrowstream", "parquet"), "application/octet-stream"),
}
_SET_ROLE = (["SET", "ROLE"], ["SET", "DEFAULT"])


class Answer(Protocol):
    """Where the answer goes: the HTTP side of one request."""

    def whole(self, body: Any, headers: dict[str, str]) -> None: ...

    def begin(self, headers: dict[str, str]) -> None: ...

    def piece(self, data: bytes) -> None: ...

    def end(self) -> None: ...


@dataclass(frozen=True)
class Statement:
    """A statement the engine runs as a whole. Text where it is UTF-8, else bytes."""

    kind: str
    text: str | bytes
    format: str
    with_result: bool

    @property
    def streamable(self) -> bool:
        return self.kind in statements.STREAMABLE and self.format.lower() in _CONCATENABLE


def serve(engine: Engine, request: Request, answer: Answer, *, readonly: bool) -> None:
    """Run one request. `readonly` is what GET means: nothing may be changed."""
    with _connected(engine, request) as connection:
        connection.apply(request.database or connection.chosen_database or "default", request.settings)
        if readonly and not request.session_id and not request.account.readonly:
            connection.raw.query("SET readonly = 2")
        try:
            for table in request.tables:
                _upload(connection, table, request)
            _execute(connection, request, answer)
        finally:
            if request.session_id:
                _drop_uploads(connection, request)


@contextmanager
def _connected(engine: Engine, request: Request) -> Iterator[EngineConnection]:
    if request.session_id is None:
        connection = engine.connection(request.account)
        try:
            yield connection
        finally:
            connection.raw.close()
        return
    connection = engine.session(
        request.account, request.session_id, request.session_timeout_s, request.session_check
    )
    try:
        yield connection
    finally:
        if request.close_session:
            engine.forget_session(request.account, request.session_id)
        connection.lock.release()
        if request.close_session:
            connection.raw.close()


def _execute(connection: EngineConnection, request: Request, answer: Answer) -> None:
    started = time.perf_counter()
    words = statements.first_words(request.head)
    kind = words[0] if words else ""
    if kind == "INSERT" and (insert := statements.insert_data(request.head)):
        return _insert(connection, insert, request, answer, started)
    statement = checked(held(request.rest, request.head), words, request.format)
    if statement.streamable and not request.whole_answer:
        return _stream(connection, statement, request, answer)
    result = connection.raw.query(statement.text, statement.format, params=request.parameters)
    if kind == "USE":
        connection.note_use()
    data = _view(result)
    read = result.storage_rows_read() or result.rows_read()
    summary = _summary(
        started,
        read_rows=read,
        read_bytes=result.storage_bytes_read() or result.bytes_read(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        result_rows=result.rows_read(),
        result_bytes=len(data),
    )
    return answer.whole(data, _headers(statement) | summary)


def checked(raw: bytes, words: list[str], default_format: str) -> Statement:
    """A statement that is safe to hand to the engine.

    Raises:
        RequestError: several statements (62), the client's files (48), a change of role or a way out of the
            tables (497).
    """
    if words[:2] in _SET_ROLE or (b";" in raw.rstrip()[:-1] and _speaks_of_roles(raw)):
        raise RequestError(497, "ACCESS_DENIED", "SET ROLE is not allowed")
    if statements.has_second_statement(raw):
        raise RequestError(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
    if statements.names_a_file(raw):
        raise RequestError(48, "NOT_IMPLEMENTED", "INTO OUTFILE and FROM INFILE are not allowed over HTTP")
    if name := statements.reaches_out(raw):
        raise RequestError(497, "ACCESS_DENIED", f"Not enough privileges: {name} is not allowed here")
    kind = words[0] if words else ""
    text: str | bytes = raw
    with suppress(UnicodeDecodeError):
        text = raw.decode()
    if kind == "KILL" and isinstance(text, str):
        # clients know their own query id, the engine has another: ours is in the log comment
        text = re.sub(r"\bquery_id\b", "Settings['log_comment']", text)
    with_result = kind in statements.WITH_RESULT
    tail = text if isinstance(text, str) else raw[-4096:].decode("latin-1")
    named = statements.trailing_format(tail) if with_result else None
    return Statement(kind, text, named or default_format, with_result)


def _speaks_of_roles(raw: bytes) -> bool:
    """The second lock on the role: should our lexer and the engine's ever disagree about where a statement
    ends, a text that could hide SET ROLE behind a semicolon is refused whatever it means."""
    return re.search(rb"\bset\b.*\brole\b", raw, re.I | re.S) is not None


def _headers(statement: Statement) -> dict[str, str]:
    content = _CONTENT_TYPES.get(statement.format.lower(), "text/plain; charset=UTF-8")
    headers = {"Content-Type": content}
    if statement.with_result:
        headers["X-ClickHouse-Format"] = statement.format
    return headers


def _view(result: Any) -> Any:
    if not result.size():
        return b""
    data = result.get_memview()
    return data.view() if hasattr(data, "view") else data


def _summary(started: float, **figures: int) -> dict[str, str]:
    elapsed_ns = int((time.perf_counter() - started) * 1e9)
    named = {name: str(figure) for name, figure in figures.items()}
    return {
        "X-ClickHouse-Summary": json.dumps(named | {"total_rows_to_read": "0", "elapsed_ns": str(elapsed_ns)})
    }


def _stream(connection: EngineConnection, statement: Statement, request: Request, answer: Answer) -> None:
    """Blocks as they come. An error after the first one is told in band, as ClickHouse >= 25.11 does."""
    result = connection.raw.send_query(statement.text, statement.format, params=request.parameters)
    tag = uuid.uuid4().hex[:16]
    try:
        block = next(result, None)  # an error before the first block still gets its own status
        answer.begin(_headers(statement) | {"X-ClickHouse-Exception-Tag": tag})
        try:
            while block is not None:
                answer.piece(block.bytes())
                block = next(result, None)
        except RuntimeError as err:
            answer.piece(_in_band(err, tag))
            raise
        answer.end()
    finally:
        result.close()


def _in_band(error: Exception, tag: str) -> bytes:
    text = described(error, "unknown")[2] + "\n"
    size = len(text.encode())
    return f"\r\n__exception__\r\n{tag}\r\n{text}{size} {tag}\r\n__exception__\r\n".encode()


def _insert(
    connection: EngineConnection,
    insert: statements.InsertData,
    request: Request,
    answer: Answer,
    started: float,
) -> None:
    statement = insert.statement
    if any(token.text == b";" for token in statements.tokens(statement.encode())):
        raise RequestError(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
    for name, value in request.parameters.items():
        if not name.isidentifier():
            raise RequestError(36, "BAD_ARGUMENTS", f"parameter name {name!r} is no name")
        connection.raw.query(f"SET param_{name} = {statements.quoted(value)}")
    inserter = connection.raw.send_insert(statement, insert.format)
    try:
        if insert.data_offset < len(request.head):
            inserter.append(memoryview(request.head)[insert.data_offset :])
        for piece in request.rest:
            inserter.append(piece)
        result = inserter.finish()
    except BaseException:
        inserter.cancel()
        raise
    rows, size = result.rows_written, result.bytes_written
    summary = _summary(
        started,
        read_rows=rows,
        read_bytes=size,
        written_rows=rows,
        written_bytes=size,
        result_rows=rows,
        result_bytes=size,
    )
    answer.whole(b"", summary)


def _upload(connection: EngineConnection, table: UploadedTable, request: Request) -> None:
    """External data: a temporary table that lives as long as the request."""
    options = request.table_options
    structure = options.get(f"{table.name}_structure") or ", ".join(
        f"_{number} {kind}"
        for number, kind in enumerate(options.get(f"{table.name}_types", "").split(","), 1)
    )
    name = statements.identifier(table.name)
    # readonly accounts may create temporary tables but not insert; the engine checks the rest
    create = f"CREATE OR REPLACE TEMPORARY TABLE {name} ({structure})".encode()
    kind = options.get(f"{table.name}_format", "TabSeparated")
    if not kind.isalnum():
        raise RequestError(73, "UNKNOWN_FORMAT", f"Unknown format {kind}")
    connection.raw.query(checked(create, ["CREATE"], "TabSeparated").text)
    inserter = connection.raw.send_insert(f"INSERT INTO {name}", kind)
    inserter.append(table.data)
    inserter.finish()


def _drop_uploads(connection: EngineConnection, request: Request) -> None:
    for table in request.tables:
        with suppress(RuntimeError):
            connection.raw.query(f"DROP TEMPORARY TABLE IF EXISTS {statements.identifier(table.name)}")
