"""A run's record -> what its models said and what became of it, for the registry and for comparing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from infra.audit.acts import who
from infra.postgres import model_registry
from kitepilot import events as e
from kitepilot.cli import days, model_book, replay
from kitepilot.config import Config, ConfigError
from kitepilot.models.gates import ScoredSession
from kitepilot.models.plan import ModelPlan, read_plan
from kitepilot.models.scored_day import Measures, Minute, Outcome, measures, outcomes
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import BARS, DEAD_LETTER, FEATURES, SESSION

MINUTE_S = 60
THRESHOLD = 0.58  # of the score follower
Values = Callable[[str], Iterable[bytes]]


def minutes(values: Values) -> Iterator[Minute]:
    """Each 1 m close once, with prices carried forward from the bars. `values`: a topic's records."""
    closes = {
        bars.close_at: (np.array(bars.tokens), np.array(bars.close_paise))
        for bars in _of(values(BARS.name), e.BarsClosed)
        if bars.interval_s == MINUTE_S and not bars.backfilled
    }
    last: dict[int, int] = {}
    told = sorted(closes)
    reached, place = -1, 0
    for features in _of(values(FEATURES.name), e.FeaturesComputed):
        if features.close_at <= reached:
            continue  # said again after a restart
        reached = features.close_at
        while place < len(told) and told[place] <= reached:
            tokens, paise = closes[told[place]]
            last.update(zip(tokens.tolist(), paise.tolist(), strict=True))
            place += 1
        prices = np.array([last.get(token, 0) for token in features.tokens], dtype=np.int64)
        scores = {name: np.array(said, dtype=np.float64) for name, said in features.scores.items()}
        yield Minute(reached, scores, prices)


def _of(values: Iterable[bytes], kind: type[Any]) -> Iterator[Any]:
    for value in values:
        try:
            event = e.decode(value)
        except e.UndecodableError:
            continue
        if isinstance(event, kind):
            yield event


def keep_evidence(run: Run, log: EventLog) -> list[str]:
    """At a day's end: how each offline model of the run scored, kept in the registry; the ids.

    Raises:
        ConfigError: PostgreSQL does not answer.
    """
    plan = read_plan(run.folder / "models")
    if plan is None or not plan.models:
        return []

    def values(topic: str) -> Iterator[bytes]:
        return _logged(log, topic, run.start_offsets()[topic])

    found = sessions_of(run.run_id, run.config.session.date, plan, values)
    with model_book.opened(run.home, run.config) as db:
        for model_id, session in found.items():
            subject = f"{run.run_id}/{session.role}"
            model_registry.add_evidence(db, model_id, model_registry.SESSION, subject, session, who())
    return list(found)


def _logged(log: EventLog, topic: str, start: int) -> Iterator[bytes]:
    end, reader = log.end_offset(topic), log.reader({(topic, 0): start})
    try:
        while reader.positions()[(topic, 0)] < end:
            records = reader.poll(500, timeout_s=5.0)
            if not records:
                return
            yield from (record.value for record in records if record.offset < end)
    finally:
        reader.close()


def sessions_of(run_id: str, session: str, plan: ModelPlan, values: Values) -> dict[str, ScoredSession]:
    """Per model that took a part, its day by itself: every row it scored."""
    roles = {plan.live: "live", plan.canary: "canary", **dict.fromkeys(plan.shadows, "shadow")}
    roles.pop("", None)
    day = list(outcomes(minutes(values)))
    drifted = {each.model for each in _of(values(SESSION.name), e.DriftFound) if not each.feature}
    drifted |= {each.model for each in _of(values(SESSION.name), e.DriftFound) if each.act != "tell"}
    off = [
        each.detail for each in _of(values(DEAD_LETTER.name), e.DeadLetter) if each.reason == "model_failed"
    ]
    return {
        model_id: _session(
            run_id,
            session,
            role,
            measures(day, [model_id], THRESHOLD)[model_id],
            drifted=model_id in drifted,
            failed=any(detail.startswith(f"model {model_id} ") for detail in off),
        )
        for model_id, role in roles.items()
    }


def _session(
    run_id: str, session: str, role: str, found: Measures, *, drifted: bool, failed: bool
) -> ScoredSession:
    return ScoredSession(
        run_id=run_id,
        session=session,
        role=role,
        rows=found.rows,
        brier=found.brier if found.rows else 0.0,
        base_brier=found.base_brier if found.rows else 0.0,
        drifted=drifted,
        failed=failed,
    )


def compare(home: Path, models: Sequence[str], sessions: Sequence[str], threshold: float) -> dict[str, Any]:
    """Models on the same rows of recorded days, day by day and over all.

    Raises:
        ConfigError: no day was scored by all of them. LogError: a day is not there.
    """
    dates = sessions or sorted({known.session_date for known in days.known_runs(home)})
    whole: list[Outcome] = []
    table = []
    for day in dates:
        known = days.find_run(home, day, None)
        with replay.opened(known, home, (BARS.name, FEATURES.name), from_archive=False) as (_, run):
            found = list(outcomes(minutes(partial(_recorded, run))))
        here = measures(found, models, threshold)
        if here[models[0]].rows:
            whole += found
            table.append({"session": day, "run_id": known.run_id, "models": _plain(here)})
    if not table:
        raise ConfigError(
            f"no day of {', '.join(dates) or 'this home'} was scored by {' and '.join(models)} together; "
            "a shadow scores from the next day that opens"
        )
    return {"threshold": threshold, "sessions": table, "all": _plain(measures(whole, models, threshold))}


def _recorded(run: Any, topic: str) -> Iterator[bytes]:
    return (record.value for record in run.records(topic))


def _plain(found: dict[str, Measures]) -> dict[str, Any]:
    return {
        name: {
            key: value if math.isfinite(value) else None
            for key, value in msgspec.structs.asdict(each).items()
        }
        for name, each in found.items()
    }


def cited(config: Config, home: Path, models: set[str]) -> set[str]:
    """Those of `models` that the registry has."""
    with model_book.opened(home, config) as db:
        return {each.model_id for each in model_registry.registered(db)} & models
