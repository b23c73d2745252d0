"""The process `research`: datasets, strategies, previews and checks, for whoever asks on its standard input.

The API starts it when somebody asks, and it ends when the API lets go of it or nobody has asked for a while.
It reads files that people send and runs the owner's own strategies: all that can go wrong goes wrong here.
"""

from __future__ import annotations

import math
import os
import resource
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from infra.research import words
from infra.research.words import Answer, Refusal, RefusedTold
from kitepilot.cli import bar_backtest, minute_strategies
from kitepilot.cli.own_strategies import source_of
from kitepilot.config import Config, ConfigError
from kitepilot.run import Run

if TYPE_CHECKING:
    from research.bar_engine.plan import BarPlan, SessionScores
    from research.datasets.upload import RefusedRow, Upload
    from research.signal_preview import Preview, Previewed

IDLE_S = 900.0
MOST_MEMORY = 3 << 30
MOST_SYMBOLS = 1_000
MOST_PLANS = 16
ANY_DAY = date(2026, 11, 19)  # of the made-up bars that everything is run over once before it is needed


def main(run: Run) -> int:
    """Answer until nobody asks any more."""
    bound_memory()
    pipe = Connection(os.dup(0))
    answers = Answers(run)
    answers.warm()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send_bytes(b"ready")
        while pipe.poll(IDLE_S):
            question = msgspec.msgpack.decode(pipe.recv_bytes(), type=words.Question)
            pipe.send_bytes(msgspec.msgpack.encode(answers.to(question)))
    return 0


def bound_memory() -> None:
    """A file made to fill the memory ends this process, and no other."""
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))


@dataclass(frozen=True)
class Planned:
    """A preview before its bars: the plan, whose wishes, and in words what is left out of it."""

    plan: BarPlan
    strategies: tuple[str, ...]
    left_out: tuple[str, ...]


class Answers:
    """From one thread. The run's models are read once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._scores: tuple[SessionScores, tuple[str, ...]] | None = None
        self._plans: dict[tuple[str, ...], Planned] = {}
        self._sent = SentFile()

    def warm(self) -> None:
        """Libraries are loaded, and kernels and models have been called once: a day is previewed."""
        from research.generated_bars import GeneratedBars, csv_of

        self.to(words.Preview(csv_of(GeneratedBars(2, (ANY_DAY,), volatility_bps=20.0).read(ANY_DAY))))

    def to(self, question: words.Question) -> Answer:
        """What can be wrong with a question is in its answer; it raises for nothing that was sent."""
        from research.datasets.manifest import DatasetError
        from research.datasets.upload import UploadError

        try:
            match question:
                case words.Datasets():
                    return Answer(datasets=datasets(self._run.home))
                case words.Strategies():
                    rows = minute_strategies.rows(self._run.home, self._run.config.strategies.enabled)
                    return Answer(strategies=rows)
                case words.Preview(content, strategies):
                    return Answer(preview=self._preview(content, tuple(strategies)))
                case words.Check(wanted, content):
                    self._check(wanted, content)
                    return Answer(fine=True)
        except UploadError as err:
            refusal = Refusal(detail=f"{err}", refused=_refused(err.refused), cut_lines=list(err.cut))
            return Answer(refusal=refusal)
        except (ConfigError, DatasetError, ValueError, MemoryError) as err:
            return Answer(refusal=Refusal(detail=f"{err}"[:1_000] or type(err).__name__))

    def _preview(self, content: bytes, strategies: tuple[str, ...]) -> words.PreviewTold:
        from research.signal_preview import preview

        planned = self._planned(strategies)
        upload = self._sent.read(content, words.MOST_PREVIEW_ROWS)
        return _told(upload, preview(planned.plan, upload.sessions), planned)

    def _check(self, wanted: words.Wanted, content: bytes) -> None:
        config, asked = bar_backtest_of(self._run, wanted)
        bar_backtest.planned(config, self._run.home, asked)
        if wanted.dataset:
            bar_backtest.opened(self._run.home, asked)
        else:
            self._sent.read(content, words.MOST_UPLOAD_ROWS)

    def _planned(self, strategies: tuple[str, ...]) -> Planned:
        """Of installed strategies once; an owner's own text may have changed. Nothing named: the run's."""
        if strategies in self._plans:
            return self._plans[strategies]
        planned = self._plan(strategies)
        if all(source_of(self._run.home, name) is None for name in planned.strategies):
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            self._plans[strategies] = planned
        return planned

    def _plan(self, strategies: tuple[str, ...]) -> Planned:
        config, left_out = self._run.config, tuple[str, ...]()
        chosen = strategies
        if not chosen:
            chosen, left_out = minute_strategies.of_run(self._run)
        asked = bar_backtest.Asked(data="", strategies=chosen)
        config = bar_backtest.chosen(config, asked)
        plan, rests = made_quickly(bar_backtest.planned(config, self._run.home, asked))
        if not rests:
            return Planned(plan, chosen, left_out)
        scores, unasked = self._models()
        return Planned(replace(plan, scores=scores), chosen, (*left_out, *unasked))

    def _models(self) -> tuple[SessionScores | None, tuple[str, ...]]:
        """What the run's models say, and who is not asked, in words."""
        from flows.run_models import models_of
        from kitepilot.models.port import ModelError
        from research.bar_engine.model_scores import panel_scores

        if self._scores is None:
            models, unasked = self._run.config.models, tuple[str, ...]()
            if models.online:
                unasked = (f"the online model {models.online} is not asked: it learns from ticks",)
            try:
                panel = models_of(self._run.config, self._run.scoring_folder).panel
            except (ModelError, OSError) as err:
                return None, (*unasked, f"no model is asked: {err}")
            self._scores = panel_scores(panel), unasked
        return self._scores


def made_quickly(plan: BarPlan) -> tuple[BarPlan, bool]:
    """The plan with its strategies' classes looked up once, and whether one of them rests on scores."""
    builds: dict[str, Any] = {name: type(each) for name, each in plan.make_strategies().items()}
    given = plan.parameters
    quick = replace(
        plan,
        make_strategies=lambda: {name: build(given.get(name, {})) for name, build in builds.items()},
    )
    return quick, any(getattr(build, "rests_on", ()) for build in builds.values())


class SentFile:
    """What was sent, as the file that CSV and Parquet are read from: in memory, one at a time.

    A disk that is busy with the day's archive delays no preview, and nothing stays when the process dies.
    """

    def __init__(self) -> None:
        from research.datasets.upload import CSV, PARQUET

        self._folder = tempfile.TemporaryDirectory(prefix="kitepilot-upload-")
        self._file = os.fdopen(os.memfd_create("upload"), "wb")
        for name in (CSV, PARQUET):  # how a file is read is told by its name
            Path(self._folder.name, name).symlink_to(f"/proc/self/fd/{self._file.fileno()}")

    def read(self, content: bytes, most_rows: int) -> Upload:
        """Raises `UploadError`."""
        from research.datasets.upload import name_of, read_upload

        try:
            self._file.seek(0)
            self._file.write(content)
            self._file.flush()
            return read_upload(Path(self._folder.name, name_of(content)), most_rows)
        finally:
            self._file.truncate(0)


def datasets(home: Path) -> list[words.DatasetRow]:
    """Those of the home; one that is damaged is passed over."""
    from research.datasets.manifest import DatasetError, folder_of, names_in, read_manifest

    found = []
    for name in names_in(home):
        with suppress(DatasetError):
            one = read_manifest(folder_of(home, name))
            found.append(
                words.DatasetRow(
                    name=one.name,
                    sha256=one.sha256,
                    bars=one.rows,
                    refused=one.refused,
                    sessions=len(one.sessions),
                    first=one.first,
                    last=one.last,
                    prices=one.basis,
                    symbol_count=len(one.tokens),
                    symbols=sorted(one.tokens)[:MOST_SYMBOLS],
                )
            )
    return found


def bar_backtest_of(run: Run, wanted: words.Wanted) -> tuple[Config, bar_backtest.Asked]:
    """As the command line would have been told it. Raises `ConfigError`."""
    strategies = tuple(wanted.strategies)
    if not strategies:
        strategies, _ = minute_strategies.of_run(run)
    for name in wanted.parameters:
        if name not in strategies:
            raise ConfigError(f"parameters of {name}, which does not trade: {', '.join(strategies)} do")
    asked = bar_backtest.Asked(
        data=wanted.dataset,
        strategies=strategies,
        settings=tuple(
            f"{name}.{parameter}={value!r}"
            for name, given in wanted.parameters.items()
            for parameter, value in given.items()
        ),
        first=wanted.first.isoformat() if wanted.first else None,
        last=wanted.last.isoformat() if wanted.last else None,
        symbols=",".join(wanted.symbols),
        capital_rupees=wanted.capital_rupees,
        jobs=1,
    )
    return bar_backtest.chosen(run.config, asked), asked


def _told(upload: Upload, found: Preview, planned: Planned) -> words.PreviewTold:
    return words.PreviewTold(
        strategies=list(planned.strategies),
        sessions=list(found.sessions),
        bars=found.bars,
        rows=upload.rows,
        refused_rows=upload.refused_rows,
        refused=_refused(upload.refused),
        cut_lines=list(upload.cut),
        read_as=upload.read_as,
        signals=[_signal(each) for each in found.signals],
        signals_in_all=found.signals_in_all,
        denials=found.denials,
        notes=[*planned.left_out, *found.notes],
    )


def _signal(each: Previewed) -> words.SignalTold:
    signal = each.signal
    return words.SignalTold(
        close_at=signal.bar_close_at,
        strategy=signal.strategy,
        tradingsymbol=signal.tradingsymbol,
        side=signal.side.value if signal.side else None,
        strength=signal.strength,
        last_paise=signal.last_paise,
        horizon_s=signal.horizon_s,
        stop_bps=signal.stop_bps,
        take_profit_bps=signal.take_profit_bps,
        scores={name: score for name, score in signal.scores.items() if math.isfinite(score)},
        why=each.why,
        verdict=each.verdict,
        denial=each.denial,
    )


def _refused(rows: tuple[RefusedRow, ...]) -> list[RefusedTold]:
    return [RefusedTold(each.row, each.tradingsymbol, each.reason) for each in rows]
