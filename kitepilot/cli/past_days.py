"""A run's day as it is looked back on: its record, the terms of its venue, its pipeline, its ticks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from broker_adapter.sandbox.feed.port import FeedInstrument
from kitepilot.cli import days, replay
from kitepilot.cli.days import KnownRun
from kitepilot.cli.report import ist_clock
from kitepilot.config import Config, ConfigError
from kitepilot.events import BandsMarked, FundsMarked
from kitepilot.market import calendar
from kitepilot.market.pipeline import MarketPipeline
from kitepilot.topics import DECISIONS, INTENTS, ORDERS, SESSION, TICKS
from research.backtest import Day, listed
from research.recorded import RecordedDay
from research.ticks import Beat
from research.venue import DEFAULT_EXCHANGE_MS, Pace, Terms

if TYPE_CHECKING:
    from flows.replay import RecordedRun

TOPICS = tuple(topic.name for topic in (TICKS, SESSION, DECISIONS, INTENTS, ORDERS))
PAPER_NO_MIS_PERCENT = 2  # the sandbox's own share of stocks that cannot be traded intraday


@dataclass(frozen=True)
class PastDay:
    """A run that is over, while its records are open. `where` they are, in words."""

    known: KnownRun
    home: Path
    where: str
    run: RecordedRun

    @property
    def config(self) -> Config:
        return self.known.config()

    @property
    def recorded(self) -> RecordedDay:
        return RecordedDay(
            self.run.run_id, lambda topic: (record.value for record in self.run.records(topic))
        )

    def pipeline(self) -> MarketPipeline:
        """The run's own market flow, fresh: its instruments, strategies and models.

        Raises:
            ModelGoneError: the model that scored the day is nowhere any more.
        """
        from flows.replay import market_of
        from infra.session_archive import read_card, sessions_folder

        noted = read_card(self.known.archive).offline_model if self.known.archive else ""
        own = self.home / "runs" / self.known.run_id / "models"
        folders = [sessions_folder(self.home) / "models", own, self.home / "models"]
        return market_of(self.run, self.config, folders, noted, self.known.model_plan())

    def day(self) -> Day:
        """The day as a venue needs it."""
        recorded, config = self.recorded, self.config
        facts = recorded.facts
        parameters = self.run.parameters
        funds = next((fact for _, fact in facts if isinstance(fact, FundsMarked)), None)
        bands = (fact for _, fact in facts if isinstance(fact, BandsMarked))
        terms = Terms(
            run_id=self.run.run_id,
            session=calendar.session(date.fromisoformat(parameters.session_date), allow_special=True),
            listed=_with_bands(listed(parameters), bands),
            broker=config.broker,
            limits=config.risk.limits(),
            seed=config.market.seed,
            no_mis_percent=PAPER_NO_MIS_PERCENT if config.mode == "paper" else 0,
        )
        if funds is not None:
            terms = terms.with_cash(funds.available_paise + funds.used_paise)
        return Day(recorded.started, terms, facts)


@contextmanager
def opened(home: Path, day: str, run_id: str | None) -> Iterator[PastDay]:
    """The newest run of a date, or the one that is named, from the log or from its archive.

    Raises:
        NoSuchDayError: there is none; says which days or runs there are.
        LogError: its records are gone.
    """
    known = days.find_run(home, day, run_id)
    with replay.opened(known, home, TOPICS, from_archive=False) as (where, run):
        yield PastDay(known, home, where, run)


def a_date(text: str) -> date:
    """Raises `ConfigError` for anything but a date like 2026-11-20."""
    try:
        return date.fromisoformat(text)
    except ValueError as err:
        raise ConfigError(f"{text!r} is not a date like 2026-11-20") from err


def pace_of(text: str, config: Config) -> Pace:
    """`zero`, a fixed number of milliseconds, or `seeded:30` (their mean), drawn from the market's seed.

    Raises:
        ConfigError: anything else.
    """
    seed = config.market.seed
    kind, _, number = text.partition(":")
    try:
        if text == "zero":
            return Pace(0, 0, seed)
        if kind == "seeded":
            mean = float(number) if number else DEFAULT_EXCHANGE_MS
            return Pace(0, _positive(mean), seed)
        return Pace(_positive(float(text)), 0, seed)
    except ValueError as err:
        raise ConfigError(
            f"--latency {text!r} is neither `zero`, milliseconds such as 80, nor `seeded:30` (a mean)"
        ) from err


def beats_of(config: Config) -> Callable[[], Iterator[Beat]]:
    """The market that a configuration names, as often as it is wanted. Raises `FeedError`."""
    from broker_adapter.sandbox.feed import open_feed
    from research.ticks import beats_of_feed

    feed = open_feed(config)
    return lambda: beats_of_feed(feed)


def shown(beats: Iterable[Beat], say: Callable[[str], None], every_s: int = 1_800) -> Iterator[Beat]:
    """The same beats; says how far the session has come, every half hour of it."""
    reached = 0
    for beat in beats:
        if beat.until // (every_s * 1_000_000_000) > reached:
            reached = beat.until // (every_s * 1_000_000_000)
            say(f"at {ist_clock(beat.until)}")
        yield beat


def _positive(milliseconds: float) -> float:
    if not 0 <= milliseconds <= 60_000:
        raise ValueError(f"{milliseconds} ms")
    return milliseconds


def _with_bands(
    instruments: tuple[FeedInstrument, ...], bands: Iterable[BandsMarked]
) -> tuple[FeedInstrument, ...]:
    """Circuit limits as the gateway last read them."""
    limits = {
        token: (lower, upper)
        for said in bands
        for token, lower, upper in zip(said.tokens, said.lower_paise, said.upper_paise, strict=True)
    }
    return tuple(
        each._replace(lower_circuit_paise=limits[each.token][0], upper_circuit_paise=limits[each.token][1])
        if each.token in limits
        else each
        for each in instruments
    )
