"""A whole walk-forward: folds, the final model, its card; one folder named by the hash of what it depends on.

    walk_forward(<home>/training, rows folder, settings, origin, jobs=2, told) -> Run

The same rows, settings and versions lead to the same folder and the same bytes, however many jobs there were
and however often it was killed on the way.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from kitepilot.models.card import identity
from kitepilot.models.loading import artifact_name, card_name, write_card
from kitepilot.models.port import ModelError
from research.trainers.port import trainer
from research.walkforward.fold_file import MODEL
from research.walkforward.folds import Fold, final_fold, folds_of, scheme_of
from research.walkforward.page import page_of
from research.walkforward.parallel import Told, folder_of, make_folds
from research.walkforward.result import TrainingResult, card_of, joined, out_of_sample
from research.walkforward.rows import RowStore
from research.walkforward.settings import Origin, Settings, run_name, spec_of

RESULT, PAGE = "result.json", "walk-forward.html"


class Run(NamedTuple):
    """`folder` holds the page, result.json, scores.parquet, folds/, final/, and model/: artifact and card."""

    folder: Path
    result: TrainingResult

    @property
    def artifact(self) -> Path:
        return self.folder / "model" / artifact_name(self.result.kind)

    @property
    def card(self) -> Path:
        return self.folder / "model" / card_name(self.result.kind)


def planned(store: RowStore, settings: Settings) -> tuple[Fold, ...]:
    """The folds in order, the final model's last. Raises `SchemeError`."""
    scheme = scheme_of(settings.scheme)
    return (*folds_of(store.sessions, scheme), final_fold(store.sessions, scheme))


def walk_forward(home: Path, rows: Path, settings: Settings, origin: Origin, jobs: int, told: Told) -> Run:
    """Make what is missing of the run and join it.

    `told` gets a fold's number (0 is the final model) at each of its steps, `settings.trials` + 1 in all.

    Raises:
        SchemeError: the sessions do not make one fold. PluginError: no such trainer.
        ModelError: not one fold could be made, or a process was ended from outside.
    """
    store = RowStore.at(rows)
    if store is None:
        raise ModelError(f"there are no rows in {rows}")
    folds = planned(store, settings)
    learner = trainer(settings.kind, settings.artifact)
    spec = spec_of(settings, origin, store.manifest.digest, learner)
    name = run_name(spec)
    run = home / name
    run.mkdir(parents=True, exist_ok=True)
    (run / "spec.json").write_bytes(msgspec.json.format(msgspec.json.encode(spec, order="sorted"), indent=1))
    made = make_folds(run, rows, folds, settings, jobs, told)
    if all(one.failed for one in made):
        raise ModelError(f"no fold could be made; the first says: {made[0].failed}")
    *tests, final = made
    _, scores = out_of_sample(run, folds[:-1], tests)
    model_id = "" if final.failed else identity(settings.kind, final.files[MODEL], final.calibration)
    result = joined(name, settings, origin, store, tests, final, scores, model_id)
    done = Run(run, result)
    if not final.failed:
        done.artifact.parent.mkdir(exist_ok=True)
        done.artifact.write_bytes((folder_of(run, folds[-1]) / MODEL).read_bytes())
        done.card.write_bytes(write_card(card_of(name, settings, origin, store, learner, result)))
    (run / PAGE).write_text(page_of(result))
    draft = (run / RESULT).with_suffix(".draft")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
    draft.replace(run / RESULT)
    return done
