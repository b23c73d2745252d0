"""When and how a run is kept: at the end of its day, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from infra.session_archive.card import CARD, FORMAT, Card, TopicCard, read_card, write_card
from infra.session_archive.files import topic_path, write_topic
from kitepilot import config as configuration
from kitepilot.models.loading import artifact_name, card_name
from kitepilot.models.loading import read_card as read_model_card
from kitepilot.models.plan import kind_of, read_plan, write_plan
from kitepilot.ports import EventLog, LogError, LogRecord
from kitepilot.run import Run
from kitepilot.topics import BARS, FEATURES, TICKS, TOPICS

#: Ticks, bars and features are most of the bytes: as many runs back as ClickHouse keeps ticks, about.
MARKET_KEPT_RUNS = 20
POLL_RECORDS = 2_000
SILENT_POLLS = 12
POLL_S = 5.0
DRAFT = ".draft"


def sessions_folder(home: Path) -> Path:
    return home / "sessions"


def models_folder(home: Path) -> Path:
    """Artifacts by model id, each as the day that used it had it."""
    return sessions_folder(home) / "models"


def kept_folders(home: Path) -> list[Path]:
    """Folders of all kept runs, oldest session first."""
    kept = (card.parent for card in sessions_folder(home).glob(f"*/*/{CARD}"))
    return sorted(folder for folder in kept if folder.suffix != DRAFT)


def keep(
    run: Run,
    log: EventLog,
    *,
    code_version: str,
    code_hash: str,
    concluded: bool,
    ends: Mapping[str, int] | None = None,
    progress: Callable[[str, int], None] = lambda topic, records: None,
) -> Path:
    """Write the run's records, from its start up to `ends` (now), as files; the folder.

    A run that was kept to the same end is left as it is. A folder is there whole or not at all.

    Raises:
        LogError: the log no longer has the run's records, or stops giving them. OSError: the disk is full.
    """
    ends = ends or {topic.name: log.end_offset(topic.name) for topic in TOPICS}
    folder = sessions_folder(run.home) / run.config.session.date / run.run_id
    if (folder / CARD).exists() and _kept_to(read_card(folder), ends):
        return folder
    draft = folder.with_name(folder.name + DRAFT)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    (draft / "config.yaml").write_text(configuration.dump(run.config))
    if (plan := read_plan(run.scoring_folder)) is not None:
        write_plan(draft, plan)
    starts, topics = run.start_offsets(), dict[str, TopicCard]()
    for topic in TOPICS:
        name = topic.name
        records = _read(log, name, starts[name], ends[name], progress)
        topics[name] = write_topic(draft, name, starts[name], ends[name], records)
        _sync(topic_path(draft, name))
    card = Card(
        format=FORMAT,
        run_id=run.run_id,
        session_date=run.config.session.date,
        mode=run.config.mode,
        log_kind=run.config.log.kind,
        config_hash=run.config_hash,
        code_version=code_version,
        code_hash=code_hash,
        offline_model=_keep_models(run),
        concluded=concluded,
        topics=topics,
    )
    write_card(draft, card)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    _forget_old_markets(run.home)
    return folder


def _kept_to(card: Card, ends: Mapping[str, int]) -> bool:
    return all(name in card.topics and card.topics[name].end == end for name, end in ends.items())


def _read(
    log: EventLog, topic: str, start: int, end: int, progress: Callable[[str, int], None]
) -> Iterator[LogRecord]:
    """The records there are in `start`..`end`; a log that stays silent is an error, a hole is not."""
    if start >= end:
        return
    # what retention took is a gap on the card
    reader = log.reader({(topic, 0): max(start, log.begin_offset(topic))})
    silent = 0
    try:
        while reader.positions()[(topic, 0)] < end:
            records = reader.poll(POLL_RECORDS, timeout_s=POLL_S)
            silent = 0 if records else silent + 1
            if silent > SILENT_POLLS:
                at = reader.positions()[(topic, 0)]
                raise LogError(f"topic {topic!r} gives nothing after offset {at} though it ends at {end}")
            yield from (record for record in records if record.offset < end)
            progress(topic, len(records))
    finally:
        reader.close()


def _keep_models(run: Run) -> str:
    """Copies of the offline models that scored this run, by id, which names them; the live one's id."""
    plan = read_plan(run.scoring_folder)
    if plan is not None:
        for model_id in plan.models:
            _copy(run.scoring_folder / model_id, kind_of(model_id), models_folder(run.home) / model_id)
        return plan.live
    kind = run.config.models.offline
    artifact, card = run.scoring_folder / artifact_name(kind), run.scoring_folder / card_name(kind)
    if not kind or not artifact.exists() or not card.exists():
        return ""
    model_id = read_model_card(card.read_bytes(), str(card)).model_id
    _copy(run.scoring_folder, kind, models_folder(run.home) / model_id)
    return model_id


def _copy(source: Path, kind: str, folder: Path) -> None:
    """A model's two files, whole or not at all; one that is there stays."""
    if folder.exists():
        return
    draft = folder.with_name(folder.name + DRAFT)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in (artifact_name(kind), card_name(kind)):
        shutil.copy2(source / name, draft / name)
    draft.rename(folder)


def _forget_old_markets(home: Path) -> None:
    """Old days keep what decided them and lose what it was computed from."""
    for folder in kept_folders(home)[:-MARKET_KEPT_RUNS]:
        for topic in (TICKS, BARS, FEATURES):
            topic_path(folder, topic.name).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
