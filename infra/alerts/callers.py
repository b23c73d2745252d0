"""The configuration of alerts -> whoever calls people: a courier for each target, and the heartbeat."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from infra.alerts.couriers import Courier
from infra.alerts.heartbeat import Heartbeat
from infra.alerts.room import Room
from kitepilot.config import AlertsSection


class Callers:
    """Of one run. `turned_at`: when the follower did its work last (monotonic s)."""

    def __init__(self, room: Room, run_id: str, turned_at: Callable[[], float]) -> None:
        self._room = room
        self._run_id = run_id
        self._turned_at = turned_at
        self._couriers: dict[str, Courier] = {}
        self._heartbeat: Heartbeat | None = None
        self._beats = ("", 0.0)
        self._wanted: AlertsSection | None = None

    def follow(self, wanted: AlertsSection) -> None:
        """Call by this from now on: nobody waits for one who is let go, and who stays keeps his place.

        A target is its name: what was told under it is not told again when it moves.
        """
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self._room.follow(wanted.policy())
        self._send(wanted)
        self._beat(wanted)

    def stop(self) -> None:
        """What is on its way may arrive."""
        for courier in self._couriers.values():
            courier.stop()
        if self._heartbeat is not None:
            self._heartbeat.stop()

    def _send(self, wanted: AlertsSection) -> None:
        """The library of targets is not loaded unless there is one."""
        places = {each.name: each.url_at for each in wanted.targets}
        for name in self._couriers.keys() - places.keys():
            self._couriers.pop(name).stop(within_s=0)
        if not places:
            return
        from infra.alerts.targets import deliver

        for target in wanted.policy().targets:
            way = partial(deliver, places[target.name], run_id=self._run_id)
            if (known := self._couriers.get(target.name)) is not None:
                known.move(target, way)
                continue
            self._couriers[target.name] = Courier(self._room, target, way)
            self._couriers[target.name].start()

    def _beat(self, wanted: AlertsSection) -> None:
        beats = (wanted.heartbeat_at, wanted.heartbeat_s)
        if beats == self._beats:
            return
        self._beats = beats
        if self._heartbeat is not None:
            self._heartbeat.stop(within_s=0)
        self._heartbeat = Heartbeat(*beats, self._turned_at) if wanted.heartbeat_at else None
        if self._heartbeat is not None:
            self._heartbeat.start()
