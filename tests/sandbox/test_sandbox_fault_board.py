"""Which fault strikes when: counts, matches, times, scripts, and the same again from the same seed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_market import DAY, OPEN, S, ist

from broker_adapter.sandbox.fault_board import FaultBoard, FaultError, Match, Script, Step, Switch
from broker_adapter.sandbox.faults import BY_NAME, FAULTS
from broker_adapter.sandbox.faulty_frames import POISON
from broker_adapter.sandbox.faulty_replies import ALWAYS_REACHED, REFUSALS


class At:
    """Session time that the test sets."""

    def __init__(self, now: int = OPEN) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def place_order(board: FaultBoard, symbol: str = "KPALPHA", tag: str = "T00"):
    board.count_order()
    return board.strike("reply", route="POST /orders/regular", symbol=symbol, tag=tag)


def test_a_fault_strikes_once_unless_told_otherwise():
    board = FaultBoard(DAY, At())
    board.arm(Switch(fault="bad_gateway_502"))
    assert place_order(board).fault.name == "bad_gateway_502"
    assert place_order(board) is None


def test_a_refused_address_stays_refused_until_it_is_cleared():
    board = FaultBoard(DAY, At())
    armed = board.arm(Switch(fault="ip_refused"))
    assert all(place_order(board) for _ in range(20))
    assert board.strike("reply", route="GET /orders") is None
    assert board.strike("reply", route="DELETE /orders/regular/1")
    assert board.clear(armed.number) == 1
    assert place_order(board) is None


def test_a_fault_waits_for_its_symbol_its_tag_and_its_route():
    board = FaultBoard(DAY, At())
    board.arm(Switch(fault="html_error", match=Match(symbol="KPBETA", tag="ABC", route="POST /orders/*")))
    assert place_order(board) is None
    assert place_order(board, "KPBETA", "X00") is None
    assert board.strike("reply", route="GET /orders/regular", symbol="KPBETA", tag="ABC") is None
    assert place_order(board, "KPBETA", "ABC00") is not None


def test_a_fault_ends_at_its_time():
    clock = At()
    board = FaultBoard(DAY, clock)
    board.arm(Switch(fault="day_cap", until="09:20"))
    clock.now = ist("09:20") - 1
    assert place_order(board)
    clock.now = ist("09:20")
    assert place_order(board) is None


def test_a_script_waits_for_the_clock_and_for_the_nth_order():
    clock = At()
    board = FaultBoard(DAY, clock)
    board.follow(
        Script(
            steps=[
                Step(fault="unavailable_503", after_orders=3),
                Step(fault="too_many_requests", at="09:30:00"),
            ]
        )
    )
    struck = [place_order(board) for _ in range(4)]
    assert [hit and hit.fault.name for hit in struck] == [None, None, "unavailable_503", None]
    clock.now = ist("09:30")
    assert place_order(board).fault.name == "too_many_requests"
    assert board.waiting == 0


steps = st.builds(
    Step,
    fault=st.sampled_from([f.name for f in FAULTS if f.place == "reply"]),
    count=st.one_of(st.none(), st.integers(1, 5)),
    probability=st.sampled_from([0.1, 0.5, 1.0]),
    at=st.sampled_from(["", "09:15:10", "09:16"]),
    after_orders=st.integers(0, 10),
)


@given(st.lists(steps, max_size=6), st.integers(0, 2**32))
def test_the_same_script_and_seed_give_the_same_faults(script, seed):
    def day() -> list[tuple[str, dict] | None]:
        clock = At()
        board = FaultBoard(DAY, clock)
        board.follow(Script(seed=seed, steps=script))
        told = []
        for second in range(60):
            clock.now = OPEN + second * 6 * S
            hit = place_order(board)
            told.append((hit.fault.name, dict(hit.parameters)) if hit else None)
        return told

    assert day() == day()


@given(st.integers(1, 50), st.floats(0.05, 1), st.integers(0, 2**32))
def test_a_count_is_never_exceeded_and_what_struck_was_asked(count, probability, seed):
    board = FaultBoard(DAY, At(), seed)
    armed = board.arm(Switch(fault="oms_unreachable", count=count, probability=probability))
    hits = sum(place_order(board) is not None for _ in range(200))
    assert hits == armed.hits <= min(count, armed.seen)
    assert armed.left == count - hits


@pytest.mark.parametrize(
    ("switch", "why"),
    [
        (Switch(fault="earthquake"), "no fault 'earthquake'"),
        (Switch(fault="stuck_order", parameters={"hours": 1}), "no parameter 'hours'"),
        (Switch(fault="stuck_order", parameters={"stuck_s": "long"}), "is a number"),
        (Switch(fault="poison_frame", parameters={"kind": "arsenic"}), "one of cut"),
        (Switch(fault="html_error", probability=0.0), "probability"),
        (Switch(fault="html_error", count=0), "count 0"),
        (Switch(fault="html_error", until="noon"), "HH:MM"),
    ],
)
def test_a_switch_that_cannot_be_says_why_and_arms_nothing(switch, why):
    board = FaultBoard(DAY, At())
    with pytest.raises(FaultError, match=why):
        board.arm(switch)
    assert board.quiet


def test_a_script_with_one_bad_step_changes_nothing():
    board = FaultBoard(DAY, At())
    board.arm(Switch(fault="html_error"))
    with pytest.raises(FaultError):
        board.follow(Script(steps=[Step(fault="no_ips"), Step(fault="earthquake")]))
    assert [armed.fault.name for armed in board.list()] == ["html_error"]


def test_every_fault_of_the_table_is_made_somewhere():
    replies = {fault.name for fault in FAULTS if fault.place == "reply"}
    assert replies == {*REFUSALS, *ALWAYS_REACHED, "html_error", "reset_mid_reply"}
    assert set(BY_NAME["poison_frame"].knobs["kind"].choices) == set(POISON)
    assert all(fault.report for fault in FAULTS)
