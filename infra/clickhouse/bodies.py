"""Request bodies as they come off the socket: framing, compression, multipart forms."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.parser import BytesParser
from typing import Any, BinaryIO, NamedTuple

from infra.clickhouse.errors import RequestError

CHUNK_BYTES = 1 << 20
#: A form or a statement without insert data is held in memory; inserts are streamed and have no bound.
HELD_BYTES = 64 << 20


class UploadedTable(NamedTuple):
    """External data of a query: rows sent along as a file of a multipart form."""

    name: str
    data: bytes


def received(stream: BinaryIO, headers: Mapping[str, str]) -> Iterator[bytes]:
    """The decoded body in pieces of at most about 1 MiB before decompression.

    Raises:
        ConnectionResetError: the client went away in the middle.
        RequestError: a content encoding that is not known, or a body that is not in it.
    """
    chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
    raw = _chunked(stream) if chunked else _counted(stream, int(headers.get("Content-Length") or 0))
    encoding = headers.get("Content-Encoding", "").lower()
    try:
        yield from _decoded(raw, encoding)
    except (RequestError, OSError):
        raise
    except Exception as err:  # each decompressor has exceptions of its own
        raise RequestError(
            354, "ZLIB_INFLATE_FAILED", f"the body is not valid {encoding}: {err}", 400
        ) from err


def _counted(stream: BinaryIO, left: int) -> Iterator[bytes]:
    while left:
        data = stream.read(min(left, CHUNK_BYTES))
        if not data:
            raise ConnectionResetError("the client closed the connection inside a body")
        left -= len(data)
        yield data


def _chunked(stream: BinaryIO) -> Iterator[bytes]:
    while size := _chunk_size(stream):
        yield from _counted(stream, size)
        stream.readline(8)
    while stream.readline(8192) not in (b"\r\n", b"\n", b""):
        pass


def _chunk_size(stream: BinaryIO) -> int:
    line = stream.readline(128)
    if not line:
        raise ConnectionResetError("the client closed the connection between chunks")
    return int(line.split(b";")[0].strip() or b"0", 16)


def _decoded(raw: Iterable[bytes], encoding: str) -> Iterable[bytes]:
    if encoding in ("", "identity"):
        return raw
    if encoding == "gzip":
        return _frames(raw, lambda: zlib.decompressobj(31))
    if encoding == "deflate":
        return _frames(raw, zlib.decompressobj)
    if encoding == "lz4":
        import lz4.frame

        return _frames(raw, lz4.frame.LZ4FrameDecompressor)
    if encoding == "zstd":
        import zstandard

        return _frames(raw, lambda: zstandard.ZstdDecompressor().decompressobj())
    raise RequestError(48, "NOT_IMPLEMENTED", f"Content-Encoding {encoding} is not supported")


def _frames(raw: Iterable[bytes], new_frame: Callable[[], Any]) -> Iterator[bytes]:
    """A body may hold several compressed frames one after another; the last one must be whole."""
    frame, inside = new_frame(), False
    for piece in raw:
        left = piece
        while left:
            if plain := frame.decompress(left):
                yield plain
            inside, left = not frame.eof, (frame.unused_data or b"") if frame.eof else b""
            if frame.eof:
                frame = new_frame()
    if inside:
        raise ValueError("it ends in the middle of a frame")


def held(body: Iterable[bytes], start: bytes = b"") -> bytes:
    """All of a body that has to be in memory at once.

    Raises:
        RequestError: larger than `HELD_BYTES`.
    """
    pieces, size = [start], len(start)
    for piece in body:
        size += len(piece)
        if size > HELD_BYTES:
            raise RequestError(62, "SYNTAX_ERROR", f"Max query size exceeded: more than {HELD_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def form(content_type: str, body: Iterable[bytes]) -> tuple[dict[str, str], list[UploadedTable]]:
    """(parameters, external tables) of a multipart form."""
    head = b"Content-Type: " + content_type.encode() + b"\r\n\r\n"
    message = BytesParser().parsebytes(head + held(body))
    parameters: dict[str, str] = {}
    tables: list[UploadedTable] = []
    payload = message.get_payload()
    for part in payload if isinstance(payload, list) else []:
        name = str(part.get_param("name", header="content-disposition"))  # type: ignore[union-attr]
        data: bytes = part.get_payload(decode=True)  # type: ignore[union-attr,assignment]
        if part.get_filename() is None:  # type: ignore[union-attr]
            parameters[name] = data.decode()
        else:
            tables.append(UploadedTable(name, data))
    return parameters, tables
