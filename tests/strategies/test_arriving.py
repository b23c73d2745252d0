"""A strategy's text goes through the tick partition whole, or not at all."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.market.ticks import MAX_TEXT_BYTES
from kitepilot.strategies.arriving import Arriving, Said, texts_of
from kitepilot.strategies.own import OwnStrategyError

SOURCES = st.text(max_size=3_000)


@given(SOURCES)
def test_what_is_sent_arrives_and_every_record_has_room_for_its_text(source: str) -> None:
    arriving, texts = Arriving(), texts_of("mine", source)
    assert all(len(text.encode()) <= MAX_TEXT_BYTES for text in texts)
    said = [arriving.take(text) for text in texts]
    assert said[-1] == Said("code", "mine", source) and set(said[:-1]) == {None}


@given(SOURCES, st.integers(0, 100), st.integers(0, 100))
def test_a_restart_between_two_pieces_loses_none(source: str, first: int, second: int) -> None:
    arriving, texts = Arriving(), texts_of("mine", source)
    said = None
    for place, text in enumerate(texts):
        if place in (first, second):
            arriving = Arriving.restored(arriving.snapshot())
        said = arriving.take(text)
    assert said == Said("code", "mine", source)


@given(st.text(min_size=400, max_size=2_000), st.data())
def test_a_piece_that_is_missing_or_changed_is_noticed(source: str, data: st.DataObject) -> None:
    texts = texts_of("mine", source)
    place = data.draw(st.integers(1, len(texts) - 1))
    broken = data.draw(st.sampled_from(["lost", "changed"]))
    sent = texts[:place] + ([] if broken == "lost" else [texts[place][:-1] + "~~"]) + texts[place + 1 :]
    arriving, arrived = Arriving(), []
    with contextlib.suppress(OwnStrategyError):
        arrived = [arriving.take(text) for text in [*sent, "on mine"]]
    wrong = [said for said in arrived if said not in (None, Said("code", "mine", source), Said("on", "mine"))]
    assert not wrong and (broken == "changed" or not arrived), "never another text than was sent"
    assert arriving.take("on mine") == Said("on", "mine"), "it is ready for the next word"


@pytest.mark.parametrize(
    "text", ["", "on", "on ../x", "part abc", "code mine", "code mine 12 0", "code mine 12 x"]
)
def test_a_word_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(OwnStrategyError):
        Arriving().take(text)


def test_a_text_that_unpacks_to_more_than_a_strategy_is_refused() -> None:
    bomb = texts_of("mine", " " * 65_536)
    assert len(bomb) < 4, "it packs well"
    with pytest.raises(OwnStrategyError, match="more than"):
        texts_of("mine", " " * 65_537)
