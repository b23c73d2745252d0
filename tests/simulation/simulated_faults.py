"""A seed -> when the market is busy, what strategies wish, and everything that goes wrong, and when."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from simulated_market import S, Window

from broker_adapter.sandbox.fault_board import Switch
from infra.fence import Raised
from kitepilot.market.calendar import Session

if TYPE_CHECKING:
    from simulated_day import Day

BUSY_S = (15, 35)
#: Faults of the sandbox, with how often one is drawn and how often it strikes then.
VENUE_FAULTS: tuple[tuple[str, int, int], ...] = (
    ("timeout_after_accept", 6, 2), ("timed_out_400", 6, 2), ("too_many_requests", 3, 3),
    ("bad_gateway_502", 3, 2), ("unavailable_503", 3, 2), ("gateway_timeout_504", 3, 2),
    ("oms_unreachable", 2, 2), ("html_error", 2, 2), ("no_content_type", 2, 2), ("reset_mid_reply", 5, 3),
    ("ip_refused", 1, 3), ("no_ips", 1, 2), ("day_cap", 1, 2), ("stuck_order", 5, 2),
    ("rms_rejected", 4, 2), ("lost_update", 5, 4), ("duplicate_update", 4, 3), ("reordered_update", 4, 3),
    ("late_update", 4, 3), ("partial_after_complete", 4, 2), ("silent_socket", 3, 1),
    ("abrupt_close", 3, 2), ("poison_frame", 3, 2), ("handshake_403", 2, 2), ("token_expired", 1, 1),
    ("clock_skew", 2, 40),
)  # fmt: skip
TROUBLES: tuple[tuple[str, int], ...] = (
    ("venue_fault", 30), ("gateway_doom", 14), ("gateway_kill", 6), ("decisions_doom", 8),
    ("decisions_kill", 4), ("venue_crash", 2), ("postgres_crash", 4), ("log_outage", 3),
    ("log_repeats", 4), ("market_repeats", 4), ("feed_outage", 3), ("partition_refused", 3),
    ("partition_silent", 3), ("wall_clock_jump", 4), ("owner_trades", 4), ("owner_commands", 5), ("fence", 3),
)  # fmt: skip


class Wish(NamedTuple):
    """What a strategy will say. `instrument` is an index."""

    strategy: str
    instrument: int
    side: str | None
    horizon_s: int
    stop_bps: int
    take_profit_bps: int


class Trouble(NamedTuple):
    """Something that goes wrong at `at` (session ns)."""

    at: int
    kind: str


@dataclass
class Plan:
    """`quiet_from` (session ns): the liveness phase."""

    windows: tuple[Window, ...]
    wishes: dict[int, list[Wish]]
    troubles: list[Trouble] = field(repr=False)
    quiet_from: int
    late: bool  # faults go on past the square-off: only safety is promised then
    halted_from: int = 0  # session ns; the owner halts before the square-off and leaves it so; 0: he does not
    halted: bool = False

    def wishes_at(self, at: int) -> Sequence[Wish]:
        return self.wishes.get(at // S, ())


def plan(seed: int, session: Session) -> Plan:
    draws = random.Random(f"{seed}:plan")
    late = draws.random() < 0.15
    if late:
        quiet_from = session.alarm_at + draws.randrange(0, 900) * S
    else:
        quiet_from = session.square_off_at - draws.randrange(30, 7200) * S
    windows = _windows(draws, session)
    wishes: dict[int, list[Wish]] = defaultdict(list)
    for window in windows:
        for _ in range(draws.randint(2, 6)):
            wishes[(window.start + draws.randrange(1, (window.end - window.start) // S) * S) // S].append(
                _wish(draws)
            )
    troubles = []
    for window in windows:
        for _ in range(draws.choice((0, 1, 2, 3, 4))):
            at = window.start + draws.randrange((window.end - window.start) // S) * S
            kind = draws.choices([k for k, _ in TROUBLES], [w for _, w in TROUBLES])[0]
            if at < quiet_from:
                troubles.append(Trouble(at, kind))
    words = random.Random(f"{seed}:last word")
    halted_from = session.square_off_at - words.randrange(5, 300) * S if words.random() < 0.2 else 0
    return Plan(windows, dict(wishes), sorted(troubles), quiet_from, late, halted_from)


def _windows(draws: random.Random, session: Session) -> tuple[Window, ...]:
    """Busy stretches: near the open, across the cutoff, across the square-off, and a few between."""
    starts = [session.open_at + draws.randint(1, 60) * S]
    span = (session.entry_cutoff_at - session.open_at) // S - 300
    starts += [session.open_at + draws.randrange(120, span) * S for _ in range(draws.randint(2, 4))]
    starts += [session.entry_cutoff_at - draws.randint(5, 25) * S]
    starts += [session.square_off_at - draws.randint(5, 25) * S]
    made: list[Window] = []
    for start in sorted(starts):
        if made and start < made[-1].end:
            continue
        made.append(Window(start // S * S, (start + draws.randint(*BUSY_S) * S) // S * S))
    return tuple(made)


def _wish(draws: random.Random) -> Wish:
    side = draws.choice(("BUY", "SELL", "BUY", "SELL", None))
    horizon = draws.choice((5, 20, 120, 1800, 20_000))
    return Wish(
        draws.choice(("rule", "rule", "other")), draws.randrange(5), side, horizon,
        draws.choice((0, 20, 60)), draws.choice((0, 30)),
    )  # fmt: skip


def strike(day: Day, now: int) -> None:
    """Whatever is due goes wrong."""
    troubles = day.plan.troubles
    while troubles and troubles[0].at <= now:
        trouble = troubles.pop(0)
        if not day.quiet:
            _STRIKE[trouble.kind](day)
    if day.plan.halted_from and now >= day.plan.halted_from:
        if not day.plan.halted:
            day.plan.halted = True
            day.market.command("halt")
        return
    if any(window.start <= now < window.start + S for window in day.plan.windows) and (
        day.history.account is not None and day.history.account.state != "active"
    ):
        day.market.command("resume")  # the owner has looked


def _venue_fault(day: Day) -> None:
    names = [name for name, _, _ in VENUE_FAULTS]
    name = day.draws.choices(names, [weight for _, weight, _ in VENUE_FAULTS])[0]
    most = next(most for each, _, most in VENUE_FAULTS if each == name)
    probability = day.draws.choice((1.0, 1.0, 0.5))
    parameters: dict[str, float | str] = {}
    if name == "timed_out_400":
        parameters["live_after_s"] = float(day.draws.choice((1, 4, 8, 12)))
    if name == "clock_skew":
        parameters["seconds"] = float(day.draws.choice((-40, -2, 2, 30)))
    day.say(f"armed: {name}", count=f"armed {name}")
    day.venue.board.arm(
        Switch(fault=name, count=day.draws.randint(1, most), probability=probability, parameters=parameters)
    )


def _gateway_doom(day: Day) -> None:
    day.gateway.process.doom = day.draws.randint(0, 60)


def _gateway_kill(day: Day) -> None:
    victim = day.gateway.process
    day.loop.at(day.draws.uniform(0.0, 0.4), lambda: day.kill(victim))


def _decisions_doom(day: Day) -> None:
    day.decisions.process.doom = day.draws.randint(0, 40)


def _decisions_kill(day: Day) -> None:
    victim = day.decisions.process
    day.loop.at(day.draws.uniform(0.0, 0.4), lambda: day.kill(victim))


def _venue_crash(day: Day) -> None:
    def crash() -> None:
        if day.venue.up and not day.quiet:
            day.say("the exchange's process dies", count="crash exchange")
            day.venue.crash()
            day.loop.at(day.draws.uniform(0.2, 2.0), day._guarded, resume)

    def resume() -> None:
        day.venue.resume()
        day.say("the exchange has resumed")

    day.loop.at(day.draws.uniform(0.0, 0.4), crash)


def _postgres_crash(day: Day) -> None:
    def crash() -> None:
        day.say("PostgreSQL is killed and restarted", count="crash postgres")
        day.postgres.crash(lose=day.draws.random() < 0.5)

    day.loop.at(day.draws.uniform(0.0, 0.4), crash)


def _log_outage(day: Day) -> None:
    day.say("the log takes nothing", count="log outage")
    day.log.down = True

    def over() -> None:
        day.log.down = False
        day.decisions.wake()

    day.loop.at(day.draws.uniform(0.05, 1.0), over)


def _log_repeats(day: Day) -> None:
    day.say("the log keeps some messages twice", count="log repeats")
    draws = day.draws
    day.log.twice = lambda: draws.random() < 0.3
    day.loop.at(1.0, lambda: setattr(day.log, "twice", lambda: False))


def _market_repeats(day: Day) -> None:
    day.say("the market flow says its last messages again", count="market repeats")
    day.market.repeat()


def _feed_outage(day: Day) -> None:
    day.say("the feed is down", count="feed outage")
    day.market.feed_down(day.venue.exchange.played)
    day.loop.at(day.draws.uniform(0.5, 6.0), day.market.feed_up)


def _partition(kind: str) -> Callable[[Day], None]:
    def cut(day: Day) -> None:
        day.say(f"the network to the broker: {kind}", count=f"partition {kind}")
        day.venue.reachable = kind
        for socket in list(day.venue.sockets):
            if kind == "silent":
                socket.dead = True
            else:
                socket.break_off()
        day.loop.at(day.draws.uniform(0.3, 9.0), lambda: setattr(day.venue, "reachable", "yes"))

    return cut


def _wall_clock_jump(day: Day) -> None:
    step_s = day.draws.choice((-7200, -30, -2, 2, 20, 600))
    day.say(f"the machine's wall clock steps by {step_s} s", count="wall clock jump")
    day.loop.wall_step_ns += step_s * S


def _owner_trades(day: Day) -> None:
    instrument = day.draws.choice(day.feed.instruments)
    last = day.venue.exchange.market.last_paise(instrument.token)
    day.say(f"the owner trades {instrument.tradingsymbol} by hand")
    day.venue.place_by_hand(
        instrument.tradingsymbol, day.draws.random() < 0.5, day.draws.randint(1, 30), last
    )


def _fence(day: Day) -> None:
    """The watchdog takes the account for a while; it has nothing to do here, and gives it back."""
    day.say("the watchdog's fence is raised", count="fence raised")
    day.fence.up(Raised(at=day.loop.time_ns(), reason="simulated", by="watchdog"))

    def lower() -> None:
        if day.fence.down():
            day.say("the fence is lowered")
            day.market.command("resume")

    day.loop.at(day.draws.uniform(0.3, 3.0), lower)


def _owner_commands(day: Day) -> None:
    day.market.command(day.draws.choice(("halt", "reduce", "flatten", "resume", "flatten")))
    if day.draws.random() < 0.6:
        day.loop.at(day.draws.uniform(0.5, 4.0), day.market.command, "resume")


_STRIKE = {
    "venue_fault": _venue_fault, "gateway_doom": _gateway_doom, "gateway_kill": _gateway_kill,
    "decisions_doom": _decisions_doom, "decisions_kill": _decisions_kill, "venue_crash": _venue_crash,
    "postgres_crash": _postgres_crash, "log_outage": _log_outage, "log_repeats": _log_repeats,
    "market_repeats": _market_repeats, "feed_outage": _feed_outage,
    "partition_refused": _partition("refused"), "partition_silent": _partition("silent"),
    "wall_clock_jump": _wall_clock_jump, "owner_trades": _owner_trades, "owner_commands": _owner_commands,
    "fence": _fence,
}  # fmt: skip
