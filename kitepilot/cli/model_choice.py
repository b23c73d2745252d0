"""Which offline models a run scores with: chosen from the registry when it opens, copied into its folder.

The copies make the run whole: its restarts, its replay and its backtest read the same bytes, whatever becomes
of the registry meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from infra.model_artifacts import Artifacts
from infra.postgres import model_moves, model_registry
from kitepilot.cli import model_book
from kitepilot.config import REGISTRY, ConfigError
from kitepilot.models import gates, stages
from kitepilot.models.loading import artifact_name, card_name, make_offline, read_card, write_card
from kitepilot.models.plan import ModelPlan, write_plan
from kitepilot.models.port import ModelError
from kitepilot.models.stages import Move, Stage, Standing
from kitepilot.run import Run
from kitepilot.strategies.plugins import PluginError

Say = Callable[[str], None]
FIRST_WHY = "the first model of this home: trained on the synthetic market, through no gates; for paper only"


def choose(run: Run, say: Say | None = None) -> ModelPlan:
    """Choose, copy, and keep the plan. Without an offline model in the configuration there is nothing to do.

    Raises:
        ConfigError: PostgreSQL does not answer, or live and the model was never leak-checked.
        ModelError: no model is live in the registry, or the live one cannot be used.
    """
    if not run.config.models.offline:
        return ModelPlan()
    if say is None:
        from kitepilot.cli.watch import speaker, stderr_console

        say = speaker(stderr_console())
    seeded = _seeded(run, say) if run.config.mode == "paper" else None
    with model_book.opened(run.home, run.config) as connection:
        choice = _Choice(connection, run, say)
        plan = choice.plan(seeded)
        if run.config.mode == "live":
            choice.require_leak_checked(plan)
        plan = choice.freeze(plan)
    write_plan(run.folder / "models", plan)
    return plan


def _seeded(run: Run, say: Say) -> str:
    """Id of the model of `kitepilot seed` where this run may need it, trained now if it is not there."""
    from kitepilot.cli.seeding import ensure_models

    if run.config.models.offline == REGISTRY:
        with model_book.opened(run.home, run.config) as connection:
            now = model_moves.standing(connection)
            if now.live and _last_move(connection, now.live) is not Move.SEEDED:
                return ""  # a person's choice
    return ensure_models(run.config, run.home, say)


def _last_move(connection: sa.Connection, model_id: str) -> Move:
    return model_registry.history(connection, model_id)[-1].move


@dataclass(frozen=True)
class _Choice:
    connection: sa.Connection
    run: Run
    say: Say

    def plan(self, seeded: str | None) -> ModelPlan:
        """Who takes which part, by the registry's stages and the configuration."""
        models = self.run.config.models
        if models.offline != REGISTRY:
            live = seeded or self._read_seed(models.offline)
            self._register_seed(models.offline)
            return ModelPlan(live=live, shadows=self._shadows((), live))
        if seeded:
            self._make_first(seeded)
        now = model_moves.standing(self.connection)
        if not now.live:
            raise ModelError(
                "no offline model is live: `kitepilot models promote MODEL` makes one live, or set "
                'models.offline to ""'
            )
        return ModelPlan(
            live=now.live,
            canary=now.canary if models.canary_share else "",
            canary_share=models.canary_share if now.canary else 0.0,
            shadows=self._shadows(now.shadows, now.live, now.canary),
            standby=(now.previous,) if now.previous else (),
        )

    def _shadows(self, staged: tuple[str, ...], *taken: str) -> tuple[str, ...]:
        """The registry's shadows, then the configuration's, without those who have a part already."""
        named = (*staged, *self.run.config.models.shadow)
        return tuple(dict.fromkeys(each for each in named if each not in taken))

    def _make_first(self, seeded: str) -> None:
        """A seeded model is live until a person chooses; a new seed takes an old one's place."""
        self._register_seed(seeded.rpartition("-")[0])
        model_registry.hold(self.connection)
        now = model_moves.standing(self.connection)
        if now.live == seeded or (now.live and _last_move(self.connection, now.live) is not Move.SEEDED):
            return
        self._to_candidate(now, seeded)
        steps = stages.moved(model_moves.standing(self.connection), seeded, Stage.LIVE, Move.SEEDED)
        said = {"trained": "kitepilot seed", "gates": [], "data": "synthetic market"}
        model_registry.append(self.connection, model_moves.changes_of(steps, FIRST_WHY, said))

    def _to_candidate(self, now: Standing, model_id: str) -> None:
        """A seed that was live before comes back from retirement."""
        if now.stages[model_id] is Stage.RETIRED:
            steps = stages.moved(now, model_id, Stage.CANDIDATE, Move.STEPPED_BACK)
            model_registry.append(self.connection, model_moves.changes_of(steps, FIRST_WHY, {}))

    def _register_seed(self, kind: str) -> None:
        raw, card = model_book.found_in(
            self.run.home / "models" / card_name(kind), self.run.home / "models" / artifact_name(kind)
        )
        model_book.register(self.connection, self._artifacts, raw, card, reason="trained by `kitepilot seed`")

    def _read_seed(self, kind: str) -> str:
        path = self.run.home / "models" / card_name(kind)
        try:
            return read_card(path.read_bytes(), str(path)).model_id
        except OSError as err:
            raise ModelError(
                f"cannot read the model {path}: {err.strerror}; run `kitepilot seed`, "
                'or set models.offline to "registry" or ""'
            ) from err

    @property
    def _artifacts(self) -> Artifacts:
        return Artifacts.of(self.run.home)

    def require_leak_checked(self, plan: ModelPlan) -> None:
        """Money follows no model that was never leak-checked, whoever made it live."""
        for model_id in (plan.live, plan.canary):
            if not model_id:
                continue
            seen = model_moves.evidence_of(self.connection, model_id, self.run.config)
            passed, observed, _, why = gates.leak_check(seen, self.run.config.models.gates)
            if not passed:
                raise ConfigError(
                    f"model {model_id} cannot trade live: leak check {observed}: {why}; `kitepilot models "
                    f'gates {model_id} --leak-report FILE` keeps one, or set models.offline to ""'
                )

    def freeze(self, plan: ModelPlan) -> ModelPlan:
        """Copy every model into the run's folder, each tried out; others than the live one may drop out.

        Raises:
            ModelError: the live model is not.
        """
        left_out = set()
        for model_id in plan.models:
            try:
                self._copy(model_id)
            except (ModelError, PluginError) as err:
                if model_id == plan.live:
                    raise ModelError(f"the live model cannot be used: {err}") from err
                self.say(f"model {model_id} is left out of this run: {err}")
                left_out.add(model_id)
        return ModelPlan(
            live=plan.live,
            canary="" if plan.canary in left_out else plan.canary,
            canary_share=plan.canary_share,
            shadows=tuple(each for each in plan.shadows if each not in left_out),
            standby=tuple(each for each in plan.standby if each not in left_out),
        )

    def _copy(self, model_id: str) -> None:
        import numpy as np

        from kitepilot.kernels.features import FEATURE_NAMES

        model = model_moves.require(self.connection, model_id)
        raw = self._artifacts.read(model.artifact_sha256, model_id)
        scorer = make_offline(model.kind, raw, model.card, FEATURE_NAMES)
        try:
            scorer.score(np.zeros((1, len(FEATURE_NAMES))))
        except Exception as err:  # a user's model: whatever it raises, it cannot be used
            raise ModelError(f"model {model_id} cannot score: {type(err).__name__}: {err}") from err
        folder = self.run.folder / "models" / model_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / artifact_name(model.kind)).write_bytes(raw)
        (folder / card_name(model.kind)).write_bytes(write_card(model.card))
