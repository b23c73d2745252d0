"""Features of ticks: the stream ended early, followed by another future, and cut elsewhere.

Bars alone leave features of ticks without a value, so they are tried on a market of ticks of their own: some
minutes of the sandbox's synthetic one, which shows depth as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed.port import MarketFeed
from kitepilot.kernels.shard import BarClose, Shard, ShardSpec
from kitepilot.market import calendar
from kitepilot.market.calendar import to_ist
from kitepilot.market.ticks import KIND_CLOCK, RECORD_DTYPE, own_record, records
from research.leaks.comparing import different, failed, passed, places, value
from research.leaks.feature_checks import Progress, quiet
from research.leaks.report import Finding, Where

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Batch = npt.NDArray[np.void]
#: Batches of records in order -> the features of each 1 s close that they lead to, float64[n, F] by its time.
TickFeatures = Callable[[Sequence[Batch]], dict[int, Floats]]

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
GRACE_NS = SECOND_NS
AFTER_OPEN_S = 420  # longer than the longest warm-up of a feature of seconds
MOMENTS = 8


@dataclass(frozen=True)
class TickTrial:
    """Features of ticks on trial.

    `warmup_s` counts seconds from an instrument's first trade, its own included; for the features of
    `in_minutes` from the minute of that trade. `symbols` name the rows of a close.
    """

    names: tuple[str, ...]
    warmup_s: tuple[int, ...]
    in_minutes: frozenset[str]
    symbols: tuple[str, ...]
    batches: tuple[Batch, ...]
    compute: TickFeatures


def shard_spec(feed: MarketFeed, day: date) -> ShardSpec:
    session = calendar.session(day)
    shares = feed.instruments
    return ShardSpec(
        tokens=np.array([one.token for one in shares], dtype=np.int64),
        tick_size_paise=np.array([one.tick_size_paise for one in shares], dtype=np.int64),
        open_at=np.full(len(shares), session.open_at, dtype=np.int64),
        close_at=np.array([session.continuous_close(one.closing_auction) for one in shares], dtype=np.int64),
        grace_ns=GRACE_NS,
    )


def batches_of(feed: MarketFeed, day: date, seconds: int = AFTER_OPEN_S) -> tuple[Batch, ...]:
    """The feed up to `seconds` after the open, as the ingester writes it: packets, then a clock."""
    until = calendar.session(day).open_at + seconds * SECOND_NS
    made = []
    for piece in feed.slices(calendar.session(day).open_at - 60 * SECOND_NS):
        if piece.until > until:
            break
        batch = np.zeros(len(piece.packets) + 1, dtype=RECORD_DTYPE)
        batch["received_at"][:-1], batch["packet"][:-1] = piece.sent_at, piece.packets
        batch[-1:] = records(own_record(KIND_CLOCK, piece.until, piece.until))
        made.append(batch)
    return tuple(made)


def by_shard(spec: ShardSpec) -> TickFeatures:
    """The built-in kernels."""

    def compute(batches: Sequence[Batch]) -> dict[int, Floats]:
        shard = Shard(spec)
        return {
            found.close_at: found.features
            for batch in batches
            for found in shard.on_records(batch)
            if isinstance(found, BarClose) and found.interval_s == 1
        }

    return compute


def tick_findings(trial: TickTrial, rng: np.random.Generator, told: Progress = quiet) -> Iterator[Finding]:
    """Truncation, other futures and warm-up of every feature that ever has a value on these ticks."""
    whole = trial.compute(trial.batches)
    table = np.stack(list(whole.values()))
    spoken: Flags = np.asarray(np.isfinite(table).any(axis=(0, 1)))
    cut, other = _Trouble(trial), _Trouble(trial)
    moments = sorted({1, len(trial.batches) - 1, *rng.integers(2, len(trial.batches), MOMENTS).tolist()})
    for moment in moments:
        kept = trial.batches[:moment]
        early = trial.compute(kept)
        cut.compare(early, whole, f"{value(moment)} batches of ticks")
        told(1)
        future = [_other(batch, rng) for batch in trial.batches[moment:]]
        known_until = max(early, default=0)
        now = {at: x for at, x in trial.compute([*kept, *future]).items() if at <= known_until}
        other.compare(now, whole, f"other ticks after the first {value(moment)} batches")
        told(1)
    seconds = f"{len(whole)} seconds of ticks"
    for number, name in enumerate(trial.names):
        if not spoken[number]:
            continue
        yield cut.of(
            number, "truncation", f"the same when the stream ends at {len(moments)} places of {seconds}"
        )
        yield other.of(number, "future_shuffle", f"the same before {len(moments)} other futures of {seconds}")
        yield _warm(trial, number, name, whole)


class _Trouble:
    """The first difference of each feature."""

    def __init__(self, trial: TickTrial) -> None:
        self._trial = trial
        self._found: dict[int, tuple[str, Where, str]] = {}

    def compare(self, some: dict[int, Floats], whole: dict[int, Floats], when: str) -> None:
        for at, now in some.items():
            was = whole[at]
            if np.array_equal(now, was, equal_nan=True):
                continue
            for number, (_, j, _) in places(different(now[None], was[None], exact=True)).items():
                stamp = to_ist(at)
                place = Where(self._trial.symbols[j], f"{stamp:%Y-%m-%d}", f"{stamp:%H:%M:%S}")
                what = f"{value(was[j, number])} in the whole stream, {value(now[j, number])} with {when}"
                self._found.setdefault(number, (what, place, f"the 1 s close of {stamp:%H:%M:%S}, {when}"))

    def of(self, number: int, check: str, fine: str) -> Finding:
        name = self._trial.names[number]
        if number in self._found:
            what, place, line = self._found[number]
            return failed(check, name, what, place, line)
        return passed(check, name, fine)


def _warm(trial: TickTrial, number: int, name: str, whole: dict[int, Floats]) -> Finding:
    """No value earlier than so many seconds after the instrument's first trade of the session."""
    closes = np.array(sorted(whole))
    known = np.isfinite(np.stack([whole[int(at)] for at in closes]))
    begun: Flags = np.asarray(known.any(axis=2))
    first = np.where(begun.any(axis=0), begun.argmax(axis=0), len(closes))
    mine: Flags = known[:, :, number]
    spoke = np.where(mine.any(axis=0), mine.argmax(axis=0), len(closes))
    at = np.r_[closes, closes[-1] + SECOND_NS]
    unit = MINUTE_NS if name in trial.in_minutes else SECOND_NS
    age: Ints = (at[spoke] - (at[first] - 1) // unit * unit) // SECOND_NS
    early: Flags = np.asarray(mine.any(axis=0)) & (age < trial.warmup_s[number])
    if early.any():
        j = int(early.argmax())
        stamp = to_ist(int(closes[spoke[j]]))
        place = Where(trial.symbols[j], f"{stamp:%Y-%m-%d}", f"{stamp:%H:%M:%S}")
        what = f"has a value after {int(age[j])} s; its stated warm-up is {trial.warmup_s[number]} s"
        return failed("warm_up", name, what, place, f"the 1 s close of {stamp:%H:%M:%S}")
    said = int(age[mine.any(axis=0)].min()) if mine.any() else 0
    return passed("warm_up", name, f"first value after {said} s, stated {trial.warmup_s[number]} s")


def _other(batch: Batch, rng: np.random.Generator) -> Batch:
    """The same packets at other prices, volumes and quantities; clocks as they are."""
    changed = batch.copy()
    packets = changed["packet"]
    share = packets["token"] != 0
    by = rng.integers(-40, 41, len(packets)) * 5 * share
    packets["last_price"] = np.where(
        share, np.maximum(packets["last_price"].astype(np.int64) + by, 5), packets["last_price"]
    )
    packets["volume"] = np.where(
        share, packets["volume"] + rng.integers(0, 900, len(packets)), packets["volume"]
    )
    for side in ("bids", "asks"):
        levels = packets[side]["quantity"]
        packets[side]["quantity"] = np.where(
            share[:, None], levels + rng.integers(0, 500, levels.shape), levels
        )
    changed["packet"] = packets
    return changed
