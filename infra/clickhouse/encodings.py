"""Answers compressed as the client asks: one frame per answer, flushed block by block.

A block leaves as soon as the engine has it, so a reader of a stream is not kept waiting for the frame's end.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Protocol

#: ClickHouse's own order of preference (`chooseHTTPCompressionMethod`), of what is spoken here.
OFFERED = ("zstd", "lz4", "gzip", "deflate")
LEVEL = 3  # http_zlib_compression_level of a server


class Encoder(Protocol):
    """Plain blocks in, encoded bytes out."""

    def block(self, data: bytes) -> bytes: ...

    def end(self) -> bytes: ...


def chosen(headers: Mapping[str, str], parameters: Mapping[str, str]) -> str:
    """The encoding of the answer: "" unless the client accepts one and says enable_http_compression=1."""
    if parameters.get("enable_http_compression", "0") not in ("1", "true"):
        return ""
    wanted = (part.partition(";") for part in (headers.get("Accept-Encoding") or "").lower().split(","))
    accepted = {name.strip() for name, _, quality in wanted if quality.replace(" ", "") not in _REFUSED}
    return next((name for name in OFFERED if name in accepted), "")


_REFUSED = ("q=0", "q=0.0", "q=0.00", "q=0.000")


def encoder(encoding: str) -> Encoder:
    """A fresh frame of one of `OFFERED`."""
    if encoding == "zstd":
        import zstandard

        return _Flushed(
            zstandard.ZstdCompressor(LEVEL).compressobj(),
            zstandard.COMPRESSOBJ_FLUSH_BLOCK,
            zstandard.COMPRESSOBJ_FLUSH_FINISH,
        )
    if encoding == "lz4":
        return _Lz4()
    bits = zlib.MAX_WBITS | 16 if encoding == "gzip" else zlib.MAX_WBITS
    return _Flushed(zlib.compressobj(LEVEL, zlib.DEFLATED, bits), zlib.Z_SYNC_FLUSH, zlib.Z_FINISH)


class _Flushed:
    """A compressor of zlib's manner."""

    def __init__(self, compressor: Any, flush: int, finish: int) -> None:
        self._compressor, self._flush, self._finish = compressor, flush, finish

    def block(self, data: bytes) -> bytes:
        return bytes(self._compressor.compress(data) + self._compressor.flush(self._flush))

    def end(self) -> bytes:
        return bytes(self._compressor.flush(self._finish))


class _Lz4:
    def __init__(self) -> None:
        import lz4.frame

        self._frame = lz4.frame.LZ4FrameCompressor(auto_flush=True)
        self._head = bytes(self._frame.begin())

    def block(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.compress(data))

    def end(self) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.flush())
