"""A day's strategies: who is asked, who is off, and whose text was replaced while the market was open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kitepilot.strategies.arriving import OFF, ON, Arriving, Said
from kitepilot.strategies.own import OwnStrategyError, digest
from kitepilot.strategies.port import Strategy

Remake = Callable[[str, str], Strategy]  # name, text


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the owner's word. `kept`: a new text took over what the old one remembered."""

    strategy: str
    state: str  # on | off | replaced
    digest: str = ""
    kept: bool = False


class Roster:
    """Strategies by name, in their order. `remake` makes one of a text; without it no text is taken.

    One that raised stays off until the owner switches it on again or sends another text.
    """

    def __init__(self, strategies: Mapping[str, Strategy], remake: Remake | None = None) -> None:
        self._strategies = dict(strategies)
        self._remake = remake
        self._off: list[str] = []
        self._texts: dict[str, str] = {}  # that replaced the ones of the configuration
        self._arriving = Arriving()

    @property
    def names(self) -> list[str]:
        return list(self._strategies)

    def __getitem__(self, name: str) -> Strategy:
        return self._strategies[name]

    def asked_at(self, interval_s: int) -> Iterator[tuple[str, Strategy]]:
        """Those that are on and are called at such closes."""
        for name, strategy in list(self._strategies.items()):
            if name not in self._off and strategy.interval_s == interval_s:
                yield name, strategy

    def switch_off(self, name: str) -> None:
        if name not in self._off:
            self._off.append(name)

    def hear(self, text: str) -> Change | None:
        """Take one record of the owner's word; the change once it is whole.

        Raises:
            ValueError: it cannot be done (an `OwnStrategyError`, or what making the strategy raised);
                everything goes on as before.
        """
        said = self._arriving.take(text)
        if said is None:
            return None
        if said.name not in self._strategies:
            raise OwnStrategyError(f"strategy {said.name!r} is not among this run's: {', '.join(self.names)}")
        if said.verb == OFF:
            self.switch_off(said.name)
            return Change(said.name, OFF)
        change = Change(said.name, ON) if said.verb == ON else self._replace(said)
        if said.name in self._off:
            self._off.remove(said.name)
        return change

    def _replace(self, said: Said) -> Change:
        if self._remake is None:
            raise OwnStrategyError(f"strategy {said.name!r} cannot be replaced here")
        strategy = self._remake(said.name, said.source)
        kept = _taken_over(strategy, self._strategies[said.name])
        # a restore that failed half way must not leave its trace
        self._strategies[said.name] = strategy if kept else self._remake(said.name, said.source)
        self._texts[said.name] = said.source
        return Change(said.name, "replaced", digest(said.source), kept)

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "off": self._off,
            "texts": self._texts,
            "arriving": self._arriving.snapshot(),
            "states": {name: strategy.snapshot() for name, strategy in self._strategies.items()},
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from `snapshot`, with the texts that were in force then."""
        self._off = list(saved["off"])
        self._texts = dict(saved["texts"])
        self._arriving = Arriving.restored(saved["arriving"])
        for name, text in self._texts.items():
            if self._remake is None:
                raise OwnStrategyError(f"strategy {name!r} was replaced in the day and cannot be made")
            self._strategies[name] = self._remake(name, text)
        for name, strategy in self._strategies.items():
            strategy.restore(saved["states"][name])


def _taken_over(new: Strategy, old: Strategy) -> bool:
    """Whether the new text understands what the old one remembers; if not it begins with nothing."""
    try:
        new.restore(old.snapshot())
    except Exception:  # a user's code: whatever it raises, the new text may still be good
        return False
    return True
