"""A strategy switched or replaced while the market is open: its place in the order, restarts, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_tape import parameters, tape

from flows import market
from infra import reloads
from infra.eventlog.sqlite_log import SqliteLog
from kitepilot.cli.strategy_words import HotReload
from kitepilot.config import Config, StrategySection, override
from kitepilot.events import Commanded, DeadLetter, SignalRaised, StrategySwitched, encode, stream_hash
from kitepilot.kernels.shard import FEATURE_NAMES
from kitepilot.market.pipeline import MarketPipeline, Out
from kitepilot.market.ticks import KIND_STRATEGY, own_record
from kitepilot.models.panel import Panel
from kitepilot.reloading import COMMAND, Reload
from kitepilot.run import Run
from kitepilot.strategies.arriving import texts_of
from kitepilot.strategies.own import digest
from kitepilot.strategies.plugins import make_strategies, make_strategy
from kitepilot.topics import SESSION, TICKS, TOPICS

TAPE = tape(minutes=8)
TALKER = '''
from kitepilot.events import Side
from kitepilot.strategies.port import Wish


class Talker:
    """At every minute, one wish for the instrument after the last."""

    requires = ()
    interval_s = 60

    def __init__(self, parameters):
        self.row = 0

    def on_close(self, view):
        self.row = (self.row + 1) % len(view.tokens)
        return [Wish(self.row, Side.{side}, 0.5, 60, 10, 10)]

    def snapshot(self):
        return {snapshot}

    def restore(self, blob):
        self.row = blob[0]
'''
FIRST = TALKER.format(side="BUY", snapshot="bytes([self.row])")
SECOND = TALKER.format(side="SELL", snapshot="bytes([self.row])")
FORGETFUL = TALKER.format(side="SELL", snapshot="bytes([self.row])").replace("blob[0]", "blob[7]")


def flow(source: str = FIRST) -> MarketPipeline:
    return MarketPipeline(
        market.shard_spec(parameters(), grace_ms=1_500),
        [one.tradingsymbol for one in parameters().instruments],
        make_strategies(["talker"], {}, FEATURE_NAMES, {"talker": source}),
        Panel(),
        None,
        remake=lambda name, text: make_strategy(name, {}, FEATURE_NAMES, text),
    )


def word(*texts: str) -> bytes:
    return b"".join(own_record(KIND_STRATEGY, 0, 1, text) for text in texts)


def played(messages: Sequence[bytes], pipeline: MarketPipeline) -> list[Out]:
    return [out for message in messages for out in pipeline.on_message(message)]


def only(out: list[Out], kind: type) -> list:
    return [event for _, event in out if isinstance(event, kind)]


def said_in_the_middle(message: bytes) -> list[Out]:
    half = len(TAPE) // 2
    return played([*TAPE[:half], message, *TAPE[half:]], flow())


def test_a_strategy_that_is_off_is_not_asked_and_one_that_is_on_again_goes_on() -> None:
    third = len(TAPE) // 3
    out = played(
        [*TAPE[:third], word("off talker"), *TAPE[third : 2 * third], word("on talker"), *TAPE[2 * third :]],
        flow(),
    )
    off, on = only(out, StrategySwitched)
    assert (off.state, on.state) == ("off", "on")
    times = [signal.event_at for signal in only(out, SignalRaised)]
    assert not [at for at in times if off.event_at < at <= on.event_at]
    assert [at for at in times if at > on.event_at] and [at for at in times if at <= off.event_at]


def test_another_text_takes_over_what_the_one_before_remembered() -> None:
    out = said_in_the_middle(word(*texts_of("talker", SECOND)))
    (change,) = only(out, StrategySwitched)
    assert (change.state, change.digest, change.kept) == ("replaced", digest(SECOND), True)
    signals = only(out, SignalRaised)
    assert {signal.side for signal in signals if signal.event_at <= change.event_at} == {"BUY"}
    assert {signal.side for signal in signals if signal.event_at > change.event_at} == {"SELL"}
    plain = only(played(TAPE, flow()), SignalRaised)
    assert [signal.token for signal in signals] == [signal.token for signal in plain], "its place was kept"


def test_a_text_that_cannot_read_what_was_remembered_begins_anew_and_says_so() -> None:
    (change,) = only(said_in_the_middle(word(*texts_of("talker", FORGETFUL))), StrategySwitched)
    assert change.state == "replaced" and not change.kept


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (word("off nobody"), "not among this run's: talker"),
        (word("what is this"), "not a word about a strategy"),
        (word(*texts_of("talker", "def (")), "strategies/talker.py line 1"),
        (word(*texts_of("talker", "x = 1")), "must define one class"),
        (word(*texts_of("talker", SECOND)[:-1], "on talker"), "lacks 1 pieces"),
    ],
)
def test_a_word_that_cannot_be_done_leaves_a_letter_and_changes_nothing(message: bytes, said: str) -> None:
    out = said_in_the_middle(message)
    refused = [each for each in only(out, DeadLetter) if each.reason == "strategy_not_switched"]
    assert any(said in letter.detail for letter in refused)
    plain = played(TAPE, flow())
    assert stream_hash(only(out, SignalRaised)) == stream_hash(only(plain, SignalRaised))


@settings(max_examples=12)
@given(cut=st.integers(0, len(TAPE)), place=st.integers(0, len(TAPE)))
def test_a_restart_anywhere_goes_on_with_the_text_that_was_in_force(cut: int, place: int) -> None:
    messages = [*TAPE[:place], word(*texts_of("talker", SECOND)), *TAPE[place:]]
    whole = played(messages, flow())
    first = flow()
    before = played(messages[:cut], first)
    second = flow()
    second.restore(first.snapshot())
    after = played(messages[cut:], second)
    assert stream_hash(event for _, event in whole) == stream_hash(event for _, event in [*before, *after])


def test_one_that_raised_comes_back_with_a_text_that_does_not() -> None:
    broken = FIRST.replace("self.row = (self.row + 1)", "self.row = 1 / 0 + (self.row + 1)")
    half = len(TAPE) // 2
    out = played([*TAPE[:half], word(*texts_of("talker", FIRST)), *TAPE[half:]], flow(broken))
    assert [each.reason for each in only(out, DeadLetter)].count("strategy_failed") == 1
    assert only(out, SignalRaised)


def test_a_saved_file_is_said_once_and_a_broken_one_only_to_its_owner(tmp_path: Path) -> None:
    config = Config(strategies=StrategySection(enabled=["talker"], sources={"talker": FIRST}))
    run = Run("paper-20261120-0001", tmp_path / "runs" / "paper-20261120-0001", config)
    path = tmp_path / "strategies" / "talker.py"
    path.parent.mkdir()
    log = SqliteLog(tmp_path / "log")
    log.create_topics(TOPICS)
    now, notices = [0.0], []
    reload = HotReload(run, notices.append, lambda: now[0])
    for text in (FIRST, "def (", SECOND, SECOND):
        path.write_text(text)
        for _ in range(2):
            now[0] += 2.0
            reload(log)
    assert log.end_offset(TICKS.name) == 1
    reader = log.reader({(TICKS.name, 0): 0})
    (change,) = only(played([reader.poll(10)[0].value], flow()), StrategySwitched)
    assert change.digest == digest(SECOND)
    assert len(notices) == 2 and "not taken" in notices[0] and "line 1" in notices[0]
    reader.close()
    log.close()


def test_a_text_saved_while_the_file_read_again_says_no_waits_for_the_next(tmp_path: Path) -> None:
    config = Config(strategies=StrategySection(enabled=["talker"], sources={"talker": FIRST}))
    run = Run("paper-20261120-0001", tmp_path / "runs" / "paper-20261120-0001", config)
    run.folder.mkdir(parents=True)
    (tmp_path / "strategies").mkdir()
    log = SqliteLog(tmp_path / "log")
    log.create_topics(TOPICS)
    now = [0.0]
    reload = HotReload(run, lambda _: None, lambda: now[0])
    for seq, (hot, text, taken) in enumerate([(False, SECOND, 0), (False, SECOND, 0), (True, FIRST, 1)]):
        tree = msgspec.to_builtins(override(config, **{"flags.strategy_hot_reload": hot}))
        reloads.keep(run, f"api-{seq}", Reload(tree, tree, log.end_offset(SESSION.name)))
        said = Commanded(source="api", seq=seq, event_at=1, command_id=f"api-{seq}", command=COMMAND)
        log.append(SESSION.name, [encode(said)])
        (tmp_path / "strategies" / "talker.py").write_text(text)
        now[0] += 2.0
        reload(log)
        assert log.end_offset(TICKS.name) == taken
    log.close()
