"""HTTP parameters, headers and body -> one checked request for the engine."""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from infra.clickhouse.accounts import ACCOUNTS, Account
from infra.clickhouse.bodies import UploadedTable
from infra.clickhouse.errors import RequestError
from infra.clickhouse.statements import OUTWARD

_INTERFACE_PARAMETERS = """
    query database user password quota_key default_format query_id session_id session_check session_timeout
    close_session compress decompress wait_end_of_query buffer_size stacktrace role client_protocol_version
    enable_http_compression send_progress_in_http_headers http_headers_progress_interval_ms
    http_write_exception_in_output_format cancel_http_readonly_queries_on_client_close
"""
#: Parameters of the HTTP interface itself; every other one is an engine setting.
RESERVED = frozenset(_INTERFACE_PARAMETERS.split())
#: A statement's routing is decided on this many bytes of it.
ROUTING_BYTES = 1 << 16
SESSION_TIMEOUT_S = 60.0
SESSION_TIMEOUT_MAX_S = 3600.0


@dataclass(frozen=True)
class Request:
    """One request, authenticated. `head` is the start of the statement, `rest` what follows of the body."""

    account: Account
    query_id: str
    database: str | None
    settings: dict[str, str]
    parameters: dict[str, str]  # {name:Type} substitutions
    format: str
    head: bytes
    rest: Iterator[bytes]
    tables: list[UploadedTable] = field(default_factory=list)
    table_options: Mapping[str, str] = field(default_factory=dict)
    session_id: str | None = None
    session_timeout_s: float = SESSION_TIMEOUT_S
    session_check: bool = False
    close_session: bool = False
    whole_answer: bool = False  # wait_end_of_query: nothing is sent before the end is known


def authenticated(
    headers: Mapping[str, str], parameters: Mapping[str, str], passwords: Mapping[str, str]
) -> Account:
    """The account named by the Authorization or X-ClickHouse-* headers or by the URL.

    Raises:
        RequestError: 516 for a wrong name or password, without saying which.
    """
    user = headers.get("X-ClickHouse-User") or parameters.get("user") or ""
    password = headers.get("X-ClickHouse-Key") or parameters.get("password") or ""
    authorization = headers.get("Authorization") or ""
    if authorization.startswith("Basic "):
        user, password = _basic(authorization[6:])
    expected = passwords.get(user)
    right = hmac.compare_digest((expected or "").encode(), password.encode())
    if expected is None or not right or user not in ACCOUNTS:
        raise RequestError(
            516,
            "AUTHENTICATION_FAILED",
            f"{user}: Authentication failed: password is incorrect, or there is no user with such name",
        )
    return ACCOUNTS[user]


def _basic(encoded: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as err:
        raise RequestError(516, "AUTHENTICATION_FAILED", "Invalid authentication header") from err
    return user, password


def new_query_id(parameters: Mapping[str, str]) -> str:
    return parameters.get("query_id") or str(uuid.uuid4())


def understood(
    account: Account,
    query_id: str,
    headers: Mapping[str, str],
    parameters: Mapping[str, str],
    *,
    body: Iterable[bytes],
    tables: list[UploadedTable],
) -> Request:
    """Sort the parameters by meaning and put the statement together.

    Raises:
        RequestError: native block compression, an empty statement, a number that is none.
    """
    if "1" in (parameters.get("decompress"), parameters.get("compress")):
        raise RequestError(
            48, "NOT_IMPLEMENTED", "Native block compression is not supported here; use Content-Encoding"
        )
    head, rest = _statement(parameters.get("query", "").encode(), iter(body))
    if not head.strip():
        raise RequestError(62, "SYNTAX_ERROR", "Empty query")
    settings, substitutions = _sorted(parameters, {table.name for table in tables})
    if hidden := OUTWARD.intersection(settings):
        raise RequestError(497, "ACCESS_DENIED", f"Not enough privileges: {min(hidden)} is not allowed here")
    # the engine numbers queries itself; this is how ours is found again in system.processes
    settings.setdefault("log_comment", query_id)
    return Request(
        account=account,
        query_id=query_id,
        database=parameters.get("database") or headers.get("X-ClickHouse-Database"),
        settings=settings,
        parameters=substitutions,
        format=parameters.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        head=head,
        rest=rest,
        tables=tables,
        table_options=parameters,
        session_id=parameters.get("session_id"),
        session_timeout_s=_timeout(parameters.get("session_timeout")),
        session_check=parameters.get("session_check") == "1",
        close_session=parameters.get("close_session") == "1",
        whole_answer=parameters.get("wait_end_of_query") == "1",
    )


def _statement(in_url: bytes, body: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """(first part, the rest). The first part is long enough to see what kind of statement it is."""
    if in_url.strip():
        first = next(body, b"")
        return (in_url + b"\n" + first if first else in_url), body
    head = b""
    for piece in body:
        head += piece
        if len(head) >= ROUTING_BYTES:
            break
    return head, chain(body)


def _sorted(parameters: Mapping[str, str], uploaded: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    settings: dict[str, str] = {}
    substitutions: dict[str, str] = {}
    for name, value in parameters.items():
        if name.startswith("param_"):
            substitutions[name.removeprefix("param_")] = value
        elif name not in RESERVED and not any(name.startswith(f"{table}_") for table in uploaded):
            settings[name] = value
    return settings, substitutions


def _timeout(text: str | None) -> float:
    if not text:
        return SESSION_TIMEOUT_S
    try:
        seconds = float(text)
    except ValueError as err:
        raise RequestError(36, "BAD_ARGUMENTS", f"session_timeout {text!r} is not a number") from err
    if not 0 < seconds <= SESSION_TIMEOUT_MAX_S:
        raise RequestError(
            36, "BAD_ARGUMENTS", f"session_timeout must be in (0, {SESSION_TIMEOUT_MAX_S:.0f}]"
        )
    return seconds
