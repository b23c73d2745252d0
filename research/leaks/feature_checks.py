"""Features on bars that were cut and changed: what may not change is compared, value by value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.leaks.altered import (
    another_market,
    changed_after,
    changed_before,
    cut,
    digest,
    instruments,
    untied,
)
from research.leaks.comparing import Place, clock, different, failed, passed, places, value, where
from research.leaks.report import Finding
from research.leaks.smallest import smallest_cut
from research.leaks.subjects import Features, SubjectError

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Sessions = Sequence[SessionBars]
#: Told after each piece of work: how many runs of the features it took.
Progress = Callable[[int], None]
CHANGES = 8  # other futures tried


def quiet(_: int) -> None:
    """No progress."""


class Trouble:
    """The first failure of each feature, in the order found."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self._found: dict[int, Finding] = {}

    def add(self, place: Place, finding: Callable[[str], Finding]) -> None:
        if place.feature not in self._found:
            self._found[place.feature] = finding(self._features.names[place.feature])

    def open(self) -> bool:
        """Some feature has not failed yet."""
        return len(self._found) < len(self._features.names)

    def all(self, check: str, what: str) -> Iterator[Finding]:
        """A finding for every feature; `what` is said of those that passed."""
        for number, name in enumerate(self._features.names):
            yield self._found.get(number) or passed(check, name, what)


def truncation(features: Features, sessions: Sessions, told: Progress = quiet) -> Iterator[Finding]:
    """The last session, ended after each of its minutes: every value of every row is compared."""
    *before, bars = sessions
    whole = features.compute(sessions)[-1]
    trouble = Trouble(features)
    for length in range(1, len(bars.close_at)):
        ended = cut(bars, length)
        try:
            known = features.compute([*before, ended])[-1]
        except SubjectError:
            raise
        except Exception as err:
            yield from _raised(features, bars, length, err)
            return
        apart = different(known, whole[:length], exact=features.exact)
        for place in places(apart).values():

            def finding(name: str, at: Place = place, k: int = length) -> Finding:
                return _cut_short(features, sessions, at, k, name)

            trouble.add(place, finding)
        told(1)
        if not trouble.open():
            break
    yield from trouble.all(
        "truncation", f"the same at each of {len(bars.close_at)} minutes when the day ends there"
    )


def _raised(features: Features, bars: SessionBars, length: int, err: Exception) -> Iterator[Finding]:
    what = f"raises {type(err).__name__} when the day ends after {length} minutes: {err}"
    for name in features.names:
        yield failed("truncation", name, what, where(bars, length - 1, None), f"{name}(cut(bars, {length}))")


def _cut_short(features: Features, sessions: Sessions, at: Place, length: int, name: str) -> Finding:
    bars = sessions[-1]
    found = smallest_cut(features, sessions, at, length)
    ahead = found.needs - 1 - at.row
    says = f"{ahead} min ahead" if found.needs < len(bars.close_at) else "to the end of the session"
    what = (
        f"looks {says}: {value(found.early)} with the bars up to {clock(bars, found.shown - 1)}, "
        f"{value(found.late)} with those up to {clock(bars, found.needs - 1)}"
    )
    return failed("truncation", name, what, where(bars, at.row, at.j), found.line(name))


def future_shuffle(
    features: Features, sessions: Sessions, rng: np.random.Generator, told: Progress = quiet
) -> Iterator[Finding]:
    """Other bars after some minutes of the last session, its length kept: nothing up to there may change."""
    *before, bars = sessions
    whole = features.compute(sessions)[-1]
    trouble = Trouble(features)
    last = len(bars.close_at) - 1
    rows = sorted({0, last // 2, max(last - 1, 0), *rng.integers(0, max(last, 1), CHANGES).tolist()})
    for row in rows:
        other = features.compute([*before, changed_after(bars, row, rng)])[-1]
        apart = different(other[: row + 1], whole[: row + 1], exact=features.exact)
        for place in places(apart).values():

            def finding(name: str, at: Place = place, t: int = row, now: Floats = other) -> Finding:
                here = where(bars, at.row, at.j)
                what = (
                    f"{value(whole[at.row, at.j, at.feature])} becomes {value(now[at.row, at.j, at.feature])}"
                    f" when the bars after {clock(bars, t)} are others"
                )
                line = f"{name}(changed_after(bars, {t}, rng))[{at.row}, {at.j}]"
                return failed("future_shuffle", name, what, here, line)

            trouble.add(place, finding)
        told(1)
    yield from trouble.all("future_shuffle", f"the same before {len(rows)} other futures")


def later_sessions(
    features: Features, sessions: Sessions, rng: np.random.Generator, told: Progress = quiet
) -> Iterator[Finding]:
    """Earlier sessions keep their values when the later ones are dropped, or are another market."""
    if len(sessions) < 2:
        return
    whole = features.compute(sessions)
    trouble = Trouble(features)
    for kept in range(1, len(sessions)):
        others = [another_market(bars, rng) for bars in sessions[kept:]]
        for later in ([], others):
            found = features.compute([*sessions[:kept], *later])
            for number in range(kept):
                _compare_session("later_sessions", features, sessions, number, (found, whole), trouble)
            told(1)
    yield from trouble.all("later_sessions", f"the same when later ones of {len(sessions)} sessions change")


def session_boundary(
    features: Features, sessions: Sessions, rng: np.random.Generator, told: Progress = quiet
) -> Iterator[Finding]:
    """The last session keeps its values when the earlier ones are another market, or are not there."""
    if len(sessions) < 2 or features.carries:
        says = "carries earlier sessions over, and says so" if features.carries else "one session was given"
        for name in features.names:
            yield passed("session_boundary", name, says)
        return
    whole = features.compute(sessions)
    trouble = Trouble(features)
    for earlier in ([], [another_market(bars, rng) for bars in sessions[:-1]]):
        found = features.compute([*earlier, sessions[-1]])
        last = len(sessions) - 1
        _compare_session(
            "session_boundary", features, sessions, last, ([*sessions[:-1], found[-1]], whole), trouble
        )
        told(1)
    yield from trouble.all("session_boundary", "the same whatever was on the days before")


def repeatable(features: Features, sessions: Sessions, told: Progress = quiet) -> Iterator[Finding]:
    """Asked again, after other sessions and in another order; and its input is left as it was."""
    before = digest(sessions)
    whole = features.compute(sessions)
    trouble = Trouble(features)
    if digest(sessions) != before:
        for number in range(len(features.names)):
            trouble.add(
                Place(0, 0, number),
                lambda name: failed(
                    "repeatable", name, "writes to the bars it is given", None, f"{name}(bars); bars changed"
                ),
            )
    for bars in reversed(sessions):
        features.compute([bars])
    again = features.compute(sessions)
    told(2 + len(sessions))
    for number in range(len(sessions)):
        _compare_session("repeatable", features, sessions, number, (again, whole), trouble)
    yield from trouble.all("repeatable", "the same when asked again")


def cross_section(
    features: Features, sessions: Sessions, rng: np.random.Generator, told: Progress = quiet
) -> Iterator[Finding]:
    """The instruments in other orders: each keeps its values, but for the order of summation."""
    n = len(sessions[-1].symbols)
    trouble = Trouble(features)
    sessions = [untied(bars, rng) for bars in sessions]
    whole = features.compute(sessions)[-1]
    if any(bars.symbols != sessions[-1].symbols for bars in sessions):
        sessions, whole = sessions[-1:], features.compute(sessions[-1:])[-1]
    for order in (np.arange(n)[::-1], rng.permutation(n)):
        found = features.compute([instruments(bars, order.tolist()) for bars in sessions])[-1]
        home = np.empty_like(found)
        home[:, order] = found
        for place in places(different(home, whole, exact=False)).values():

            def finding(name: str, at: Place = place, now: Floats = home) -> Finding:
                was, becomes = whole[at.row, at.j, at.feature], now[at.row, at.j, at.feature]
                what = f"{value(was)} becomes {value(becomes)} when the instruments stand in another order"
                line = f"{name}(instruments(bars, reversed(range({n}))))"
                return failed("cross_section", name, what, where(sessions[-1], at.row, at.j), line)

            trouble.add(place, finding)
        told(1)
    yield from trouble.all("cross_section", f"the same for {n} instruments in another order")


def warm_up(
    features: Features, sessions: Sessions, rng: np.random.Generator, told: Progress = quiet
) -> Iterator[Finding]:
    """Nothing before the stated warm-up, and no more history than stated."""
    bars = sessions[-1]
    alone = features.compute([bars])[-1]
    for number, name in enumerate(features.names):
        column = alone[:, :, number]
        stated, reach = features.warmup[number], features.reach[number]
        finding = _too_early(name, bars, column, stated)
        if finding is None and reach is not None:
            finding = _too_far_back(features, number, bars, alone, reach, rng)
            told(4)
        yield finding or passed("warm_up", name, _warm_words(column, stated, reach))


def _too_early(name: str, bars: SessionBars, column: Floats, stated: int | None) -> Finding | None:
    if not stated or stated < 2:
        return None
    early = np.isfinite(column[: stated - 1])
    if not early.any():
        return None
    row, j = np.unravel_index(int(early.argmax()), early.shape)
    what = f"{value(column[row, j])} after {int(row) + 1} minutes; its stated warm-up is {stated}"
    line = f"{name}(cut(bars, {int(row) + 1}))[{int(row)}, {int(j)}]"
    return failed("warm_up", name, what, where(bars, int(row), int(j)), line)


def _too_far_back(
    features: Features, number: int, bars: SessionBars, whole: Floats, reach: int, rng: np.random.Generator
) -> Finding | None:
    last = len(bars.close_at) - 1
    for row in sorted({last, *rng.integers(min(reach, last), last + 1, 3).tolist()}):
        first = max(row - reach + 1, 0)
        found = features.compute([changed_before(bars, first, rng)])[-1]
        now, was = found[row : row + 1], whole[row : row + 1]
        place = places(different(now, was, exact=features.exact)).get(number)
        if place is not None:
            what = (
                f"{value(was[0, place.j, number])} becomes {value(now[0, place.j, number])} when bars more "
                f"than {reach} minutes back are others; it states a reach of {reach}"
            )
            line = f"{features.names[number]}(changed_before(bars, {first}, rng))[{row}, {place.j}]"
            return failed("warm_up", features.names[number], what, where(bars, row, place.j), line)
    return None


def _warm_words(column: Floats, stated: int | None, reach: int | None) -> str:
    known = np.isfinite(column).any(axis=1)
    first = f"first value after {int(known.argmax()) + 1} min" if known.any() else "no value in this session"
    claims = f"stated {stated}" if stated is not None else "warm-up not stated"
    return f"{first}, {claims}" + (f"; {reach} min of history are enough" if reach is not None else "")


def _compare_session(
    check: str,
    features: Features,
    sessions: Sessions,
    number: int,
    found_and_whole: tuple[Sequence[object], Sequence[Floats]],
    trouble: Trouble,
) -> None:
    """Add every feature whose values of session `number` are not the same."""
    found, whole = found_and_whole
    now, was = np.asarray(found[number]), whole[number]
    words = {
        "later_sessions": "when later sessions are others",
        "session_boundary": "when earlier sessions are others",
        "repeatable": "when it is asked again",
    }[check]
    for place in places(different(now, was, exact=features.exact)).values():

        def finding(name: str, at: Place = place) -> Finding:
            before, after = was[at.row, at.j, at.feature], now[at.row, at.j, at.feature]
            what = f"{value(before)} becomes {value(after)} {words}"
            line = f"{name} over {len(sessions)} sessions, row {at.row} of {sessions[number].session}"
            return failed(check, name, what, where(sessions[number], at.row, at.j), line)

        trouble.add(place, finding)
