"""While the watchdog's fence stands the gateway sends nothing: not an entry, not an exit, not a late one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from orders_on_paper import ID, NOW, intent

from broker_adapter.gateway.refusals import Refusals
from broker_adapter.gateway.submit import FENCED, Submitter
from broker_adapter.kite.clock import VenueClock
from broker_adapter.kite.limits import EntryShares, RateLimits
from infra.fence import Fence, Raised, Wish, ask, asked, granted
from kitepilot.config import BrokerSection, RiskSection
from kitepilot.events import ApprovedIntent, Purpose
from kitepilot.ports import Accepted, Outcome, Rejected

STOPPED = Raised(at=NOW, reason="the gateway is silent", by="watchdog")


class Venue:
    """Takes every order, and runs `meanwhile` while it has one in hand."""

    def __init__(self, meanwhile: object = None) -> None:
        self.taken: list[str] = []
        self.meanwhile = meanwhile

    def submit(self, intent: ApprovedIntent, tag: str, quantity: int) -> Outcome:
        self.taken.append(tag)
        if callable(self.meanwhile):
            self.meanwhile()
        return Accepted(str(len(self.taken)))


def submitter(venue: Venue, fence: Fence) -> Submitter:
    clock = VenueClock()
    clock.feed(NOW)
    limits = RateLimits(clock, EntryShares())
    return Submitter(venue, limits, RiskSection(), BrokerSection(), fence)  # type: ignore[arg-type]


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_behind_the_fence_neither_an_entry_nor_an_exit_reaches_the_broker(
    tmp_path: Path, purpose: Purpose
) -> None:
    fence, venue = Fence(tmp_path), Venue()
    desk = submitter(venue, fence)
    fence.up(STOPPED)
    sent = await desk.submit(intent(purpose=purpose), f"{ID}00", 10)
    assert isinstance(sent.outcome, Rejected) and sent.outcome.code == FENCED
    assert "the gateway is silent" in sent.outcome.message
    assert sent.event_at == 0  # nothing left, so no stamp counts towards the broker's rates
    assert fence.down()
    after = await desk.submit(intent(purpose=purpose), f"{ID}01", 10)
    assert isinstance(after.outcome, Accepted) and venue.taken == [f"{ID}01"]
    desk.close()


async def test_an_exit_that_waits_in_its_lane_when_the_fence_rises_stays_here(tmp_path: Path) -> None:
    fence = Fence(tmp_path)
    venue = Venue(meanwhile=lambda: fence.up(STOPPED))
    desk = submitter(venue, fence)
    first, second = await asyncio.gather(
        *(desk.submit(intent(purpose=Purpose.EXIT), f"{ID}0{n}", 10) for n in range(2))
    )
    desk.close()
    assert isinstance(first.outcome, Accepted) and venue.taken == [f"{ID}00"]
    assert isinstance(second.outcome, Rejected) and second.outcome.code == FENCED


def test_what_the_fence_keeps_back_halts_and_is_said_once() -> None:
    refusals = Refusals()
    refusal = refusals.hear(Rejected(FENCED, "it stands"))
    assert refusal is not None and refusal.halts and refusal.subject == FENCED
    assert refusals.hear(Rejected(FENCED, "it stands")) is None


def test_a_fence_is_raised_once_and_keeps_its_first_reason(tmp_path: Path) -> None:
    fence = Fence(tmp_path)
    assert not fence.stands() and fence.raised() is None and not fence.down()
    assert fence.up(STOPPED) == STOPPED
    later = Raised(at=NOW + 1, reason="another", by="owner")
    assert fence.up(later) == STOPPED and Fence(tmp_path).raised() == STOPPED
    assert fence.down() and not fence.stands()
    assert fence.up(later) == later


def test_a_fence_that_cannot_be_read_stands(tmp_path: Path) -> None:
    fence = Fence(tmp_path)
    fence.up(STOPPED)
    (tmp_path / "fence.json").write_bytes(b'{"at"')
    raised = fence.raised()
    assert fence.stands() and raised is not None and "cannot be read" in raised.reason


def test_a_wish_to_be_flat_waits_until_it_is_granted_and_is_never_lost_to_a_second(tmp_path: Path) -> None:
    first = Wish(command_id="a", by="api", reason="enough", at=NOW)
    assert asked(tmp_path) is None
    assert ask(tmp_path, first)
    assert not ask(tmp_path, Wish(command_id="b", by="cli", reason="", at=NOW))
    assert asked(tmp_path) == first
    granted(tmp_path)
    assert asked(tmp_path) is None


def test_a_process_that_never_beat_is_told_from_one_that_stopped(tmp_path: Path) -> None:
    fence = Fence(tmp_path)
    assert fence.last_beat("gateway") is None
    fence.beat("gateway")
    first = fence.last_beat("gateway")
    fence.beat("gateway")
    second = fence.last_beat("gateway")
    assert first is not None and second is not None and second >= first > 0
