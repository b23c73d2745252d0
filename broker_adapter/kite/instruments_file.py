"""Kite's instruments file of the day -> a dated snapshot: the CSV as served (gzip), and the parsed Parquet.

Nothing replaces a snapshot until the new one has been downloaded whole and parsed; a refused answer leaves
yesterday's where it is. Snapshots of another address than Kite's own are kept apart.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from broker_adapter.kite.login import KITE_ROOT
from broker_adapter.kite.session import Session
from kitepilot.config import BrokerSection
from kitepilot.market import listings
from kitepilot.market.instruments import InstrumentsError

MAX_BYTES = 256 * 1024 * 1024  # plain; Kite's has 9.5 MB (August 2026)
CHUNK_BYTES = 256 * 1024
DOWNLOAD_TIMEOUT_S = 60.0
MIN_SHARE = 0.5  # of the previous file's rows; a file that lost half of the exchange is a broken file


@dataclass(frozen=True)
class Snapshots:
    """The dated instruments files of one broker address."""

    folder: Path

    @classmethod
    def of(cls, home: Path, broker: BrokerSection) -> Snapshots:
        """Where this home keeps those of `broker`."""
        folder = home / "instruments"
        if broker.rest_url.rstrip("/") == KITE_ROOT:
            return cls(folder)
        return cls(folder / (urlsplit(broker.rest_url).netloc.replace(":", "-") or "unknown"))

    def csv(self, day: date) -> Path:
        return self.folder / f"{day}.csv.gz"

    def parquet(self, day: date) -> Path:
        return self.folder / f"{day}.parquet"

    def days(self) -> list[date]:
        """Days with a parsed snapshot, oldest first."""
        return sorted(date.fromisoformat(path.stem) for path in self.folder.glob("????-??-??.parquet"))

    def before(self, day: date) -> date | None:
        """The newest day with a snapshot before `day`."""
        return max((known for known in self.days() if known < day), default=None)

    def read(self, day: date) -> pa.Table:
        """The parsed snapshot of a day.

        Raises:
            InstrumentsError: there is none, or the file is damaged.
        """
        path = self.parquet(day)
        try:
            return pq.read_table(path, schema=listings.SCHEMA)
        except FileNotFoundError as err:
            raise InstrumentsError(
                f"no instruments of {day} in {self.folder}: `kitepilot instruments`"
            ) from err
        except (OSError, pa.ArrowException) as err:
            raise InstrumentsError(
                f"{path} is damaged ({err}): `kitepilot instruments` fetches it again"
            ) from err

    def keep(self, day: date, downloaded: Path) -> pa.Table:
        """Parse a downloaded file and make it the snapshot of `day`.

        Raises:
            InstrumentsError: it is not Kite's file, or has lost most of its rows since the last one.
        """
        with cast(BinaryIO, gzip.open(downloaded, "rb")) as source:
            listed = listings.read_listings(source)
        before = self.before(day)
        if before is not None:
            known = pq.read_metadata(self.parquet(before)).num_rows
            if listed.num_rows < known * MIN_SHARE:
                raise InstrumentsError(
                    f"the instruments file has {listed.num_rows:,} rows, that of {before} had {known:,}: "
                    f"refused as incomplete (if the exchange is right, remove {self.parquet(before)})"
                )
        fresh = self.parquet(day).with_suffix(".new")
        pq.write_table(listed, fresh, compression="zstd")
        downloaded.replace(self.csv(day))
        fresh.replace(self.parquet(day))
        return listed


def download(http: httpx.Client, session: Session, into: Path) -> int:
    """`GET /instruments`, all exchanges, written as gzip to `into`; returns the plain size in bytes.

    Raises:
        InstrumentsError: refused, not CSV, cut short, or far too large.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    try:
        with (
            http.stream(
                "GET", "/instruments", headers=session.authorization, timeout=DOWNLOAD_TIMEOUT_S
            ) as reply,
            gzip.GzipFile(into, "wb", compresslevel=6, mtime=0) as file,
        ):
            _require_csv(reply)
            for chunk in reply.iter_bytes(CHUNK_BYTES):
                size += file.write(chunk)
                if size > MAX_BYTES:
                    raise InstrumentsError(
                        f"the instruments file is larger than {MAX_BYTES >> 20} MiB: refused"
                    )
    except httpx.HTTPError as err:
        raise InstrumentsError(
            f"the instruments file of {http.base_url} could not be read ({type(err).__name__}: {err})"
        ) from err
    return size


def _require_csv(reply: httpx.Response) -> None:
    kind = reply.headers.get("content-type", "nothing").partition(";")[0].strip()
    if reply.status_code == 403:
        raise InstrumentsError("the broker refuses the session (403): a login is needed (`kitepilot login`)")
    if reply.status_code != 200:
        raise InstrumentsError(f"the broker answered {reply.status_code} instead of an instruments file")
    if kind != "text/csv":
        raise InstrumentsError(f"the broker answered {kind} instead of an instruments file (text/csv)")
