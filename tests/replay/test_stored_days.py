"""Days recorded by earlier versions decide as they did: hashes are pinned, and change only with a reason."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from recorded_day import make_home, write
from store_days import DAYS, NAMES, PINS, market_hashes, recipe, stored

from flows.market import make_pipeline
from flows.replay import UnreadableRunError, Verdict, open_recorded, verify_decisions
from kitepilot import config as configuration
from kitepilot.cli.replay_words import told
from kitepilot.events import FeaturesComputed, decode
from kitepilot.topics import DECISIONS, FEATURES, INTENTS, SESSION

REPIN = """
The stored day {name!r} is decided otherwise than before:

{first}

If this change means to decide otherwise: `make repin`, commit tests/replay, and say in the commit why
a recorded day is decided otherwise from now on. If it does not, this is the defect it has.
"""


def pins(name: str) -> Any:
    return json.loads(PINS.read_text())[name]


def explained(name: str, finding: Verdict) -> str:
    """What the person who changed the code should read."""
    said = told(finding, stored(name))
    difference = said["difference"]
    first = json.dumps(difference, indent=1) if difference else f"{said['status']}; {said['streams']}"
    return REPIN.format(name=name, first=first[:4_000])


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_day_is_decided_as_it_was(name: str) -> None:
    finding = verify_decisions(stored(name))
    assert finding.equal, explained(name, finding)
    now = {each.topic: {"messages": each.messages, "sha256": each.sha256} for each in finding.streams}
    assert now == pins(name)["decisions"], explained(name, finding)
    assert now[INTENTS.name]["messages"] > 5, "a day without orders proves little"


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_days_market_gives_the_bars_and_marks_it_gave(name: str) -> None:
    now, then = market_hashes(name), pins(name)["market"]
    assert now["ticks"] == then["ticks"], (
        "the recipe of the ticks changed: `make repin NEW=1`, with the reason"
    )
    assert now == then, REPIN.format(name=name, first=f"market: {now}, pinned {then}")


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_days_features_and_scores_are_what_they_were(name: str) -> None:
    """To nine digits: another processor may round the last bit of a logarithm otherwise."""
    ticks, terms, _ = recipe(name)
    pipeline = make_pipeline(configuration.load(DAYS / name / "config.yaml"), terms, Path())
    now = [
        event
        for value in ticks
        for _, event in pipeline.on_message(value)
        if isinstance(event, FeaturesComputed)
    ]
    then = [decode(record.value) for record in stored(name).records(FEATURES.name)]
    assert len(now) == len(then) >= 7
    for one, other in zip(now, then, strict=True):
        assert isinstance(other, FeaturesComputed)
        assert (one.close_at, one.tokens) == (other.close_at, other.tokens)
        # features were added since: those that were there then are what they were
        columns = [one.names.index(name) for name in other.names]
        values = np.frombuffer(one.values).reshape(-1, len(one.names))[:, columns]
        np.testing.assert_allclose(values.ravel(), np.frombuffer(other.values), rtol=1e-9, err_msg=REPIN)
        assert one.scores.keys() == other.scores.keys()
        for model, scores in one.scores.items():
            np.testing.assert_allclose(scores, other.scores[model], rtol=1e-9, err_msg=REPIN)


def test_a_start_that_lacks_what_is_required_now_says_which_version_can_read_it(tmp_path: Path) -> None:
    """A message that gained a field without a default: refused in one line, never half replayed."""
    run = stored("quiet")
    values = [record.value for record in run.records(SESSION.name)]
    fields = msgspec.msgpack.decode(values[0])
    del fields["parameters"]["profile"]
    day = make_home(tmp_path)
    write(day.log, {SESSION.name: [msgspec.msgpack.encode(fields), *values[1:]]})
    with pytest.raises(
        UnreadableRunError, match=r"`profile`.*replay this day with the version that recorded"
    ):
        open_recorded(run.run_id, day.log, day.run.start_offsets(), day.ends())


def test_the_text_of_a_changed_day_tells_what_differs_and_how_to_pin_it_again(tmp_path: Path) -> None:
    """The failure that a change of decisions is to meet, met here on purpose."""
    run = stored("quiet")
    topics = {
        topic: [record.value for record in run.records(topic)]
        for topic in (SESSION.name, DECISIONS.name, INTENTS.name)
    }
    intent = msgspec.msgpack.decode(topics[INTENTS.name][2])
    topics[INTENTS.name][2] = msgspec.msgpack.encode(intent | {"quantity": intent["quantity"] + 1})
    day = make_home(tmp_path)
    write(day.log, topics)
    changed = open_recorded(run.run_id, day.log, day.run.start_offsets(), day.ends())
    text = explained("quiet", verify_decisions(changed))
    assert "make repin" in text and "say in the commit why" in text
    assert '"quantity"' in text and str(intent["quantity"] + 1) in text
