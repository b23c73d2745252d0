"""What entries are judged by and no instruments file says: sector, usual volume, margin, freeze quantity.

Gathered once, when a run opens, and kept in its folder, so that the run's parameters can be made again.

* The margin is asked of the broker's calculator in both modes. Where it does not answer, an entry is taken to
  need its whole value.
* The usual volume is the mean of the last days' candles that `kitepilot candles --interval day` keeps; on
  paper the exchange says it. The sector is in the file `market.sectors` names; on paper the exchange has its
  own.
* The freeze quantity is the configuration's: Kite has it in no file.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import httpx
import msgspec

from kitepilot.config import Config, ConfigError
from kitepilot.events import InstrumentTerms
from kitepilot.market.instruments import parse_instruments
from kitepilot.run import Run

FILE = "instrument_facts.json"
WHOLE_VALUE_BPS = 10_000
A_CALL = 50  # imagined orders in one request for margins
VOLUME_DAYS, LEAST_DAYS = 20, 5  # sessions in the mean, and fewer than so many are no mean
LOOK_BACK = timedelta(days=45)


class InstrumentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts by trading symbol; what is missing is not known."""

    margin_bps: dict[str, int] = msgspec.field(default_factory=dict)
    average_volume: dict[str, int] = msgspec.field(default_factory=dict)
    sector: dict[str, str] = msgspec.field(default_factory=dict)
    freeze_quantity: int = 0

    def of(self, terms: InstrumentTerms) -> InstrumentTerms:
        """The same terms with what is known of their instrument."""
        symbol = terms.tradingsymbol
        return msgspec.structs.replace(
            terms,
            sector=self.sector.get(symbol, ""),
            average_volume=self.average_volume.get(symbol, 0),
            freeze_quantity=self.freeze_quantity,
            margin_bps=self.margin_bps.get(symbol, WHOLE_VALUE_BPS),
        )


def keep(run: Run, facts: InstrumentFacts) -> None:
    (run.folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(facts, order="sorted"), indent=1))


def kept(run: Run) -> InstrumentFacts:
    """The run's, or nothing known where none were gathered."""
    path = run.folder / FILE
    return (
        msgspec.json.decode(path.read_bytes(), type=InstrumentFacts) if path.exists() else InstrumentFacts()
    )


def gather(run: Run) -> InstrumentFacts:
    """Ask the broker, the kept candles or the paper exchange, and the file of sectors.

    Raises:
        ConfigError: the file of sectors cannot be used or lacks a stock that is traded; the paper exchange
            does not answer.
    """
    config = run.config
    listed = parse_instruments((run.folder / "instruments.csv").read_bytes())
    symbols = sorted(one.tradingsymbol for one in listed if one.tradable)
    if config.mode == "paper":
        volumes, sectors = _told_by_exchange(config)
    else:
        volumes = average_volumes(run.home, symbols, date.fromisoformat(config.session.date))
        sectors = {}
    if config.market.sectors:
        sectors = read_sectors(Path(config.market.sectors), symbols)
    return InstrumentFacts(
        margin_bps=_margins(run, symbols),
        average_volume=volumes,
        sector=sectors,
        freeze_quantity=config.broker.freeze_quantity,
    )


def read_sectors(path: Path, symbols: Iterable[str]) -> dict[str, str]:
    """The CSV file `symbol,sector`, for these symbols.

    Raises:
        ConfigError: unreadable, another header, or a symbol that it lacks.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"market.sectors: cannot read {path}: {err}") from err
    if rows and not {"symbol", "sector"} <= rows[0].keys():
        raise ConfigError(f"market.sectors: {path} must begin with the columns symbol,sector")
    known = {row["symbol"].strip(): row["sector"].strip() for row in rows if row["symbol"] and row["sector"]}
    if missing := [symbol for symbol in symbols if symbol not in known]:
        raise ConfigError(f"market.sectors: {path} has no sector for {', '.join(missing[:10])}")
    return {symbol: known[symbol] for symbol in symbols}


def average_volumes(home: Path, symbols: Sequence[str], session: date) -> dict[str, int]:
    """Mean volume of the last sessions before `session` in the kept daily candles; too few are left out."""
    from broker_adapter.kite.candle_files import CandleFileError, CandleFiles, day_of
    from broker_adapter.kite.candle_windows import Days, windows

    files = CandleFiles(home / "candles", "day")
    wanted = Days(session - LOOK_BACK, session - timedelta(days=1))
    found = {}
    for symbol in symbols:
        try:
            candles = [c for window in windows("day", wanted) for c in files.read(symbol, window).candles]
        except CandleFileError as err:
            sys.stderr.write(f"average volume of {symbol} is not known: {err}\n")
            continue
        last = [c.volume for c in sorted(candles) if wanted.first <= day_of(c) <= wanted.last][-VOLUME_DAYS:]
        if len(last) >= LEAST_DAYS:
            found[symbol] = sum(last) // len(last)
    return found


def _told_by_exchange(config: Config) -> tuple[dict[str, int], dict[str, str]]:
    """Usual volumes and sectors of the paper exchange; a recorded day has none."""
    url = f"{config.broker.admin_url}/admin/instruments"
    try:
        rows: list[Mapping[str, object]] = (
            httpx.get(url, timeout=20.0, trust_env=False).raise_for_status().json()
        )
    except httpx.HTTPError as err:
        raise ConfigError(
            f"the exchange does not answer {url} ({err}): see `kitepilot logs sandbox`"
        ) from err
    volumes = {str(row["tradingsymbol"]): int(str(row["average_volume"])) for row in rows}
    sectors = {str(row["tradingsymbol"]): str(row["sector"]) for row in rows}
    return (
        {name: volume for name, volume in volumes.items() if volume},
        {name: sector for name, sector in sectors.items() if sector},
    )


def _margins(run: Run, symbols: Sequence[str]) -> dict[str, int]:
    from broker_adapter.kite.client import BrokerReadError, KiteBroker
    from broker_adapter.kite.clock import WallClock
    from broker_adapter.kite.limits import BlockingLimits, shares_of
    from broker_adapter.kite.parse import RowError

    broker, limits = KiteBroker(run), BlockingLimits(WallClock(), shares_of(run.config.broker))
    found: dict[str, int] = {}
    try:
        for first in range(0, len(symbols), A_CALL):
            with limits.sending("other"):
                found |= broker.intraday_margins(symbols[first : first + A_CALL])
    except (BrokerReadError, RowError) as err:
        sys.stderr.write(
            f"intraday margins are not known, entries are taken to need their whole value: {err}\n"
        )
    return found
