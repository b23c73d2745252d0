"""Everything the handlers reach: made once by `main`, handed to `create_app`, found as `services`."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.datastructures import State

from api.analysis import Analysis
from api.commands import Commands
from api.control import ControlDesk
from api.day_book import DayBook
from api.effects import Effects
from api.identity.desk import Identity, identity_of
from api.identity.gate import Gate
from api.live.hub import Hub
from api.measures import Measures
from api.model_changes import Mover
from api.postbacks import PostbackDesk
from api.readiness import Readiness
from api.record import Record
from api.reloading import Reloading
from api.research_desk import ResearchDesk
from api.timeline import Timeline
from api.view import View
from kitepilot.ports import EventLog
from kitepilot.run import Run


@dataclass
class Services:
    """One of each. The caller starts and stops what has a thread."""

    run: Run
    log: EventLog
    view: View
    hub: Hub
    day: DayBook
    effects: Effects
    postbacks: PostbackDesk
    control: ControlDesk
    commands: Commands
    identity: Identity
    record: Record
    analysis: Analysis
    measures: Measures
    timeline: Timeline
    models: Mover
    readiness: Readiness
    research: ResearchDesk
    reloading: Reloading

    @property
    def gate(self) -> Gate:
        """Who may pass."""
        return self.identity.gate

    def close(self) -> None:
        """Let go of the books."""
        self.control.close()
        self.identity.close()
        self.record.close()
        self.analysis.close()
        self.research.close()


def made(
    run: Run,
    log: EventLog,
    *,
    api_secret: str,
    token: str,
    metrics_token: str = "",
    identity: Identity | None = None,
) -> Services:
    """All services over one run and its log. Start `view` before the first request; stop it at the end."""
    view = View(run, log)
    hub = Hub(run, view.lag)
    day = DayBook(hub.board)
    effects = Effects(hub.board)
    measures = Measures()
    timeline = Timeline()
    control = ControlDesk(run, log, token)
    reloading = Reloading(run, log, control, effects)
    view.listeners += [hub, day, reloading, effects, measures, timeline]
    return Services(
        run=run,
        log=log,
        view=view,
        hub=hub,
        day=day,
        effects=effects,
        postbacks=PostbackDesk(api_secret, log, lambda: view.snapshot.marked_at),
        control=control,
        commands=Commands(control),
        identity=identity or identity_of(run, token, metrics_token),
        record=Record(run),
        analysis=Analysis(run),
        measures=measures,
        timeline=timeline,
        models=Mover(run, log, effects, lambda: reloading.flags),
        readiness=Readiness(run, effects),
        research=ResearchDesk(run),
        reloading=reloading,
    )


def people(state: State) -> Identity:
    """For handlers: `identity: NamedDependency[Identity]`."""
    services: Services = state.services
    return services.identity


def provided(state: State) -> Services:
    """For handlers: `services: NamedDependency[Services]`."""
    services: Services = state.services
    return services
