"""What the fold is told of funds, circuits, clocks, models and the feed."""

from __future__ import annotations

from desk import ALPHA, BRAVO, RUN, Desk, S, intents

from kitepilot.events import (
    BandsMarked,
    ClockMeasured,
    DriftFound,
    FundsMarked,
    ModelJudged,
    StateChanged,
    Verdict,
    encode,
)
from kitepilot.risk.admission import UnusableError, admit
from kitepilot.risk.exposure import loss_paise
from kitepilot.risk.facts import room_paise
from kitepilot.risk.state import Band, load, save


def funded(desk: Desk, available: int, age_s: float = 0) -> None:
    head = desk.head("gateway.facts") | {"event_at": desk.now - round(age_s * S)}
    desk.say(FundsMarked(**head, run_id=RUN, available_paise=available, used_paise=0))


def room(desk: Desk) -> int:
    left = room_paise(desk.desk)
    assert left is not None
    return left + desk.desk.limits.cash_reserve_paise


def test_margin_of_entries_is_taken_off_until_the_broker_has_counted_them() -> None:
    desk = Desk()
    desk.mark(alpha=100_000, bravo=50_000)
    assert room_paise(desk.desk) is None
    funded(desk, 100_000_000)
    (first,) = intents(desk.signal())
    value = first.quantity * first.limit_price_paise
    assert room(desk) == 100_000_000 - value
    desk.complete(first)
    lost = loss_paise(desk.desk)
    assert room(desk) == 100_000_000 - value - lost  # filled: the broker's figure is still the old one
    desk.mark(60)
    funded(desk, 100_000_000 - value)
    assert room(desk) == 100_000_000 - value


def test_margin_comes_back_when_a_position_closes() -> None:
    desk = Desk()
    desk.mark(alpha=100_000, bravo=50_000)
    entry = desk.enter()
    desk.mark(60)
    funded(desk, 50_000_000)
    desk.signal(None)
    desk.complete(desk.permissions()[-1])
    lost = loss_paise(desk.desk)
    earlier = desk.desk.funds
    assert earlier is not None
    cost = entry.quantity * entry.limit_price_paise
    assert room(desk) == 50_000_000 + cost - max(lost - earlier.loss_paise, 0)


def test_a_figure_from_before_an_entry_does_not_free_its_margin() -> None:
    desk = Desk()
    desk.mark(alpha=100_000, bravo=50_000)
    (first,) = intents(desk.signal())
    desk.complete(first)
    desk.mark(1)
    funded(desk, 100_000_000, age_s=2)  # measured before the entry, heard after it
    assert room(desk) == 100_000_000 - first.quantity * first.limit_price_paise


def test_facts_of_another_run_are_not_ours_and_ours_survive_the_blob() -> None:
    desk = Desk()
    desk.say(ClockMeasured(**desk.head("gateway.facts"), run_id="paper-1", skew_ms=9_000, against="ntp"))
    assert desk.desk.skew_ms is None
    desk.say(ClockMeasured(**desk.head("gateway.facts"), run_id=RUN, skew_ms=-7, against="ntp"))
    bands = BandsMarked(
        **desk.head("gateway.facts"),
        run_id=RUN,
        tokens=[ALPHA, BRAVO],
        lower_paise=[90, 0],
        upper_paise=[110, 0],
    )
    desk.say(bands)
    said = desk.say(ModelJudged(**desk.head("market-0"), model="blend", state="drifted", detail="worse"))
    assert [type(each) for each in said] == [StateChanged]
    again = load(save(desk.desk))
    assert again == desk.desk
    assert (again.skew_ms, again.bands, again.models) == (-7, {ALPHA: Band(90, 110)}, {"blend": "drifted"})


def test_a_drift_that_refuses_entries_keeps_its_scores_from_being_followed_until_the_owner_resumes() -> None:
    desk = Desk()
    desk.mark(alpha=100_000)

    def denial() -> str:
        """Of an entry that rests on the blended score."""
        (verdict,) = [
            each
            for each in desk.signal(rests_on=("blend",), scores={"blend": 0.6})
            if isinstance(each, Verdict)
        ]
        return verdict.denial

    drift = {"model": "blend", "detector": "adwin", "observed": 0.2, "limit": 0.1, "scores": ("blend",)}
    desk.say(DriftFound(**desk.head("market-0"), **drift, act="tell"))
    assert desk.desk.drifted == set()
    desk.say(DriftFound(**desk.head("market-0"), **drift, act="refuse_entries"))
    assert load(save(desk.desk)) == desk.desk
    assert denial() == "model_drifted"
    desk.say(ModelJudged(**desk.head("market-0"), model="blend", state="fresh"))
    assert denial() == "model_drifted"
    desk.command("resume")
    assert denial() != "model_drifted"


def test_a_gap_in_the_feed_is_dated_when_it_ends() -> None:
    desk = Desk()
    desk.feed("up")
    assert desk.desk.feed_gap_at == 0
    desk.feed("down")
    desk.mark(3)
    desk.feed("up")
    assert desk.desk.feed_gap_at == desk.now


def test_facts_that_make_no_sense_never_reach_the_fold() -> None:
    desk = Desk()
    head = desk.head("x")
    for bad in (
        BandsMarked(**head, run_id=RUN, tokens=[ALPHA], lower_paise=[], upper_paise=[1]),
        ModelJudged(**head, model="blend", state="excellent"),
        DriftFound(**head, model="blend", detector="psi", observed=1.0, limit=0.1, act="panic"),
    ):
        try:
            admit(encode(bad))
        except UnusableError as err:
            assert err.reason == "malformed"
        else:
            raise AssertionError(bad)
