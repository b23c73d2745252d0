"""A day traded in one loop: repeatable, never ahead of itself, and by the same books as a run's."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import small_day
from hypothesis import given
from hypothesis import strategies as st
from small_day import DAY, RUN

from kitepilot.events import Commanded, Filled, Purpose, Side
from kitepilot.market.calendar import ist_ns
from kitepilot.market.ticks import RECORD_BYTES
from kitepilot.orders.positions import FLAT, Position, apply_fill
from research.account import Ledger
from research.backtest import Day, pipeline_market, trade
from research.desk import Result
from research.ticks import beats_of_log, shown_by
from research.venue import ModelledVenue, Pace

MS = 1_000_000
SEEDED = Pace(exchange_ms=30.0, seed=3)


@pytest.fixture(scope="module")
def result() -> Result:
    return small_day.traded(SEEDED)[1]


def traded_again(messages: list[bytes], pace: Pace = SEEDED) -> Result:
    day = small_day.day()
    seen = shown_by(small_day.beats(), beats_of_log(messages))
    return trade(day, seen, pipeline_market(small_day.pipeline()), ModelledVenue(day.terms, pace))


def all_messages() -> list[bytes]:
    return [message for beat in small_day.beats() for message in beat.messages]


def test_the_same_day_gives_the_same_hashes_however_its_ticks_are_cut(result: Result) -> None:
    assert result.fills, "a day without a trade proves nothing"
    raw = b"".join(all_messages())
    cuts = np.random.default_rng(1).integers(1, 60, len(raw) // RECORD_BYTES).cumsum() * RECORD_BYTES
    bounds = [0, *(int(cut) for cut in cuts if cut < len(raw)), len(raw)]
    recut = [raw[begin:end] for begin, end in pairwise(bounds)]
    again, single = traded_again(all_messages()), traded_again(one_clock_each(recut))
    for other in (again, single):
        assert (other.session_hash, other.decisions_hash) == (result.session_hash, result.decisions_hash)


def one_clock_each(messages: list[bytes]) -> list[bytes]:
    """A clock ends its message, as the ingester writes it; everything else stays as it was cut."""
    found = []
    for message in messages:
        start = 0
        for at in range(0, len(message), RECORD_BYTES):
            if message[at + 8 : at + 12] == b"\0\0\0\0":
                found.append(message[start : at + RECORD_BYTES])
                start = at + RECORD_BYTES
        if start < len(message):
            found.append(message[start:])
    return found


def test_another_draw_of_latencies_is_another_day(result: Result) -> None:
    assert traded_again(all_messages(), Pace(exchange_ms=400.0, seed=4)).session_hash != result.session_hash


@pytest.mark.parametrize("pace", [Pace(exchange_ms=0), Pace(fixed_ms=650, exchange_ms=0), SEEDED])
def test_no_order_trades_before_it_could_have_reached_the_exchange(pace: Pace) -> None:
    kept, result = small_day.traded(pace)
    fills = kept.recorded.fills
    assert fills
    for fill in fills:
        waited = fill.filled_at - result.intents[fill.intent_id].event_at
        assert waited >= pace.fixed_ms * MS, result.intents[fill.intent_id]


def test_every_position_is_closed_and_the_account_is_the_sum_of_its_trips(result: Result) -> None:
    assert [trip for trip in result.trips if not trip.closed_at] == []
    assert sum(trip.gross_paise for trip in result.trips) == result.account.gross_paise
    assert result.account.charges_paise > 0
    assert any(intent.purpose is Purpose.SQUARE_OFF for intent in result.intents.values())


def test_the_owners_flatten_is_part_of_the_day() -> None:
    at = ist_ns(DAY, "09:19")
    flatten = Commanded(source="cli", seq=0, event_at=at, command_id="c1", command="flatten", by="owner")
    day = with_facts(at, flatten)
    _, plain = small_day.traded(SEEDED)
    _, result = small_day.traded(SEEDED, told=day)
    late = [i for i in result.intents.values() if i.purpose is Purpose.ENTRY and i.event_at > at]
    assert late == []
    assert any(i.purpose is Purpose.ENTRY and i.event_at > at for i in plain.intents.values())
    assert "flatten by owner" in " ".join(result.states)
    assert result.as_json()["states"] == list(result.states)


def with_facts(at: int, command: Commanded) -> Day:
    return replace(small_day.day(), facts=((at, command),))


fills = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(Side), st.integers(1, 500), st.integers(1, 5_000_00)),
    max_size=60,
)


@given(fills, st.integers(1, 5_000_00))
def test_trips_share_out_the_profit_of_a_position_to_the_paisa(
    drawn: list[tuple[int, Side, int, int]], mark: int
) -> None:
    ledger, positions = Ledger(), defaultdict[int, Position](lambda: FLAT)
    for number, (token, side, quantity, price) in enumerate(drawn):
        positions[token] = apply_fill(positions[token], side, quantity, price)
        ledger.add(fill(number, token, side, quantity, price), None)
    for token in positions:
        ledger.mark(token, mark)
    whole = sum(p.realised_paise + (0 if p.flat else p.unrealised_paise(mark)) for p in positions.values())
    assert ledger.account(DAY).gross_paise == whole
    assert sum(not trip.closed_at for trip in ledger.trips) == sum(not p.flat for p in positions.values())


def fill(number: int, token: int, side: Side, quantity: int, price_paise: int) -> Filled:
    return Filled(
        source="gateway",
        seq=number,
        event_at=number,
        run_id=RUN,
        intent_id="",
        order_id=f"o{number}",
        trade_id=f"t{number}",
        token=token,
        side=side,
        quantity=quantity,
        price_paise=price_paise,
        filled_at=number + 1,
    )
