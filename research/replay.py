"""A recorded session folded by today's code, with the fills that its orders had.

An order that is decided again as it was (the same in everything but names) gets the recorded updates and
fills; one that is decided no more loses them; a new one is filled by a modelled venue. With unchanged code
the account is the recorded one, with changed code the difference is what the change would have been worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from kitepilot.events import ApprovedIntent, Filled, Marked, OrderUpdated, SessionEvent
from research.backtest import Day, finish
from research.desk import Listener, ResearchDesk, Result, silent
from research.recorded import RecordedDay
from research.ticks import Beat, Packets
from research.venue import Told, Venue, nameless


class RecordedVenue:
    """`Venue` that answers orders of the record with the record: see `translated`; others go to `model`."""

    def __init__(self, recorded: Mapping[str, ApprovedIntent], model: Venue) -> None:
        self._recorded = recorded
        self._same = {nameless(intent): name for name, intent in recorded.items()}
        self._renamed: dict[str, str] = {}  # recorded intent id -> today's
        self._model = model

    def send(self, intent: ApprovedIntent, at: int) -> list[Told]:
        name = self._same.get(nameless(intent))
        if name is None:
            return _apart(self._model.send(intent, at))
        self._renamed[name] = intent.intent_id
        return []

    def advance(self, packets: Packets, sent_at: npt.NDArray[np.int64], until: int) -> list[Told]:
        return _apart(self._model.advance(packets, sent_at, until))

    def translated(self, event: SessionEvent) -> SessionEvent | None:
        """A recorded event as today's fold should hear it; None for one about an order it did not make."""
        if not isinstance(event, OrderUpdated | Filled) or event.intent_id not in self._recorded:
            return event
        name = self._renamed.get(event.intent_id)
        return msgspec.structs.replace(event, intent_id=name) if name is not None else None


def _apart(told: list[Told]) -> list[Told]:
    """Under a name of their own: the record's numbers go on beside the model's."""
    return [msgspec.structs.replace(each, source=f"modelled.{each.source}") for each in told]


def replay(
    day: Day, recorded: RecordedDay, beats: Iterator[Beat], model: Venue, listener: Listener = silent
) -> Result:
    """Fold the recorded session again; `model` fills the orders that the record does not have, on `beats`."""
    venue = RecordedVenue(recorded.intents, model)
    desk = ResearchDesk(venue, listener)
    for event in recorded.session():
        while isinstance(event, Marked) and desk.now < event.event_at:
            beat = next(beats, None)
            if beat is None:
                break
            desk.advance(beat.packets, beat.sent_at, beat.until)
        said = venue.translated(event)
        if said is not None:
            desk.take(said)
    finish(desk, day)
    return desk.result()
