"""How long a strategy may take for one close."""

from __future__ import annotations

import signal
import threading

import pytest

from research.bar_engine.time_limit import TimeLimit, TookTooLongError


def forever(_: object) -> None:
    while True:
        pass


def test_a_strategy_that_does_not_come_back_is_interrupted_and_the_next_close_has_its_whole_time() -> None:
    with TimeLimit(0.05) as limit:
        for _ in range(2):
            with pytest.raises(TookTooLongError):
                limit.ask(forever, None)
        assert limit.ask(len, "ab") == 2


def test_an_alarm_that_rings_when_nobody_is_asked_stops_no_session() -> None:
    with TimeLimit(600.0) as limit:
        limit.ask(len, "ab")
        signal.raise_signal(signal.SIGALRM)
        assert limit.ask(len, "ab") == 2
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_the_alarm_is_given_back_after_the_session() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with TimeLimit(600.0):
        assert signal.getsignal(signal.SIGALRM) is not before
    assert signal.getsignal(signal.SIGALRM) is before


def test_beside_the_main_thread_there_is_an_answer_and_no_bound() -> None:
    said: list[int] = []

    def ask() -> None:
        with TimeLimit(600.0) as limit:
            said.append(limit.ask(len, "ab"))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert said == [2]
