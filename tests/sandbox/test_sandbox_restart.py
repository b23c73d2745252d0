"""The book survives the sandbox: the same requests on the same market are the same book."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from exchange_desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from small_market import ALPHA, OPEN, SECRET, S, SmallMarket, packet

from broker_adapter.sandbox.errors import KiteError
from broker_adapter.sandbox.input_log import CancelAsked, InputLog, Played
from broker_adapter.sandbox.resume import resume
from broker_adapter.sandbox.venue import Venue
from kitepilot.config import ConfigError

TERMS = {"seed": "7", "feed": "two stocks by hand"}
SECONDS = 40


def market(moves: list[tuple[int, int]]) -> SmallMarket:
    """ALPHA once a second: (ticks from 500.00, shares traded since the last packet)."""
    sends, volume = [], 1_000
    for number, (ticks, traded) in enumerate(moves):
        middle, volume, at = 500_00 + 5 * ticks, volume + traded, OPEN + number * S
        row = packet(ALPHA, middle, [(middle - 5, 60), (middle - 10, 90)], [(middle + 5, 60)], at)
        row["volume"] = volume
        sends.append((at, row))
    return SmallMarket(sends, begins_at=OPEN, ends_at=OPEN + SECONDS * S)


wishes = st.lists(
    st.tuples(
        st.integers(0, 35 * 4),  # quarter of a second
        st.sampled_from(["place", "modify", "cancel"]),
        st.booleans(),
        st.integers(1, 200),
        st.integers(-4, 4),
    ),
    max_size=20,
).map(lambda made: sorted(made, key=lambda wish: wish[0]))
moves = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 300)), min_size=5, max_size=30)


def ask(desk: Desk, wish, at: int) -> None:
    _, what, buy, quantity, ticks = wish
    price = f"{(500_00 + ticks * 5) / 100:.2f}"
    known = list(desk.book.orders)
    try:
        if what == "place" or not known:
            desk.place(at, "BUY" if buy else "SELL", quantity, price=price)
        elif what == "modify":
            desk.exchange.modify(known[quantity % len(known)], {"price": price}, at)
        else:
            desk.exchange.cancel(known[quantity % len(known)], at)
    except KiteError:
        return  # refused: as if nobody had asked


@settings(max_examples=40, deadline=None)
@given(moves, wishes, st.integers(0, 35 * 4), st.integers(0, 99))
def test_a_session_that_broke_off_anywhere_goes_on_as_if_it_had_not(moves, wishes, broke_off, seed):
    """Played in quarter seconds; after `broke_off` of them the process dies and another takes over."""
    desk, heir = Desk(latency_ms=80, seed=seed), Desk(latency_ms=80, seed=seed)
    feed = market(moves)
    slices = list(feed.slices())
    packets = np.concatenate([piece.packets for piece in slices])
    sent_at = np.concatenate([piece.sent_at for piece in slices])

    def run(who: Desk, first: int, last: int) -> None:
        for quarter in range(first, last):
            start, until = OPEN + quarter * S // 4, OPEN + (quarter + 1) * S // 4
            for wish in to_come:
                if wish[0] == quarter:
                    ask(who, wish, start)
            low, high = np.searchsorted(sent_at, [start, until])
            who.exchange.advance(packets[low:high], sent_at[low:high], until)

    to_come = wishes
    run(desk, 0, broke_off)
    book = desk.book
    stood = Played(desk.exchange.played, "running", "max", len(book.orders), len(book.trades))
    ahead = [wish for wish in wishes if wish[0] == broke_off]  # taken, and then the process died
    before = len(desk.asked)
    for wish in ahead:
        ask(desk, wish, OPEN + broke_off * S // 4)
    entries = [*desk.asked[:before], *([stood] if broke_off else []), *desk.asked[before:]]
    rest = resume(heir.exchange, iter(slices), entries)
    assert heir.book.histories == desk.book.histories
    assert heir.book.trades == desk.book.trades
    places = [[d.exchange.floor.place_of(order) for order in d.book.orders] for d in (desk, heir)]
    assert places[0] == places[1]
    left = sum(len(piece.packets) for piece in rest)
    assert left == int((sent_at >= (OPEN + broke_off * S // 4 if broke_off else 0)).sum())
    to_come = [wish for wish in wishes if wish[0] > broke_off]
    for who in (desk, heir):
        run(who, broke_off, 37 * 4)
    assert heir.book.histories == desk.book.histories
    assert heir.book.tallies == desk.book.tallies


def test_a_session_whose_market_became_another_is_refused():
    desk, heir = Desk(), Desk()
    calm, wild = (list(market([(ticks, 100)] * 20).slices()) for ticks in (0, 3))
    order = desk.place(OPEN, price="500.05", quantity=10)
    for piece in calm:
        desk.exchange.advance(piece.packets, piece.sent_at, piece.until)
    assert desk.book.orders[order].filled_quantity == 10
    stood = Played(desk.exchange.played, "running", "1.0", 1, len(desk.book.trades))
    with pytest.raises(ConfigError, match="cannot be resumed"):
        resume(heir.exchange, iter(wild), [*desk.asked, stood])


def filled_log(path: Path) -> list[object]:
    log = InputLog(path, TERMS)
    log.append(CancelAsked(1, 2, "100"))
    log.append(Played(5, "running", "max", 1, 0))
    log.keep("accounts", b"\x00old")
    log.keep("accounts", b"\xffnew")
    log.close()
    again = InputLog(path, TERMS)
    again.close()
    return list(again.entries)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_last_line_that_a_crash_cut_off_is_dropped(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("log") / "inputs.log"
    entries = filled_log(path)
    raw = path.read_bytes()
    cut = data.draw(st.integers(1, len(raw)))
    path.write_bytes(raw[:cut])
    whole = raw[:cut].count(b"\n")
    log = InputLog(path, TERMS)
    assert log.entries == entries[:whole]
    log.append(CancelAsked(9, 9, "200"))
    log.close()
    again = InputLog(path, TERMS)
    assert [e for e in again.entries if isinstance(e, CancelAsked)][-1].order_id == "200"
    again.close()


def test_the_last_value_that_was_kept_comes_back(tmp_path):
    filled_log(tmp_path / "a" / "inputs.log")
    path = tmp_path / "b" / "inputs.log"
    log = InputLog(path, TERMS)
    log.keep("accounts", b"one")
    log.keep("accounts", b"two")
    asyncio.run(log.settled())
    log.close()
    again = InputLog(path, TERMS)
    assert (again.kept("accounts"), again.kept("limits"), again.played) == (b"two", None, None)
    again.close()


def test_damage_in_the_middle_is_not_mistaken_for_a_crash(tmp_path):
    path = tmp_path / "inputs.log"
    filled_log(path)
    raw = bytearray(path.read_bytes())
    raw[20] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match="line 1 is damaged"):
        InputLog(path, TERMS)


def test_a_log_of_another_market_or_one_in_use_is_refused(tmp_path):
    path = tmp_path / "inputs.log"
    log = InputLog(path, TERMS)
    with pytest.raises(ConfigError, match="another sandbox runs on it"):
        InputLog(path, TERMS)
    log.close()
    with pytest.raises(ConfigError, match="another seed"):
        InputLog(path, {**TERMS, "seed": "8"})


def test_after_a_write_that_failed_nothing_is_taken_any_more(tmp_path, monkeypatch):
    log = InputLog(tmp_path / "inputs.log", TERMS)
    monkeypatch.setattr("os.write", lambda *_: 3)
    with pytest.raises(OSError, match="part of a line"):
        log.append(CancelAsked(1, 1, "1"))
    monkeypatch.undo()
    with pytest.raises(OSError, match="part of a line"):
        log.append(CancelAsked(1, 1, "2"))
    log.close()
    again = InputLog(tmp_path / "inputs.log", TERMS)
    again.close()
    assert len(again.entries) == 1  # the beginning


@pytest.mark.parametrize("acked", [True, False])
def test_an_exchange_that_comes_back_waits_for_whom_it_waited_before(life_of_sandbox, tmp_path, acked):
    """At a pace too: else minutes passed before a desk had its connection again, and its feed was stale."""
    venue, lead = Venue(SECRET, state=tmp_path), 20 * S
    with life_of_sandbox(market([(0, 10)] * 30), speed=1_000.0, venue=venue) as before:
        if acked:
            before.ack(OPEN)
        before.start()
        before.until(lambda state: state["session_time_ns"] >= OPEN + lead)
        stood = before.state()["session_time_ns"]
    with life_of_sandbox(market([(0, 10)] * 30), speed=1_000.0, venue=venue) as after:
        came = after.until(lambda state: state["session_time_ns"] >= stood + lead)["session_time_ns"]
        if not acked:
            after.until(lambda state: state["session_time_ns"] > came + 10 * lead)
            return
        assert came == stood + lead, "held, however long nobody says anything"
        after.ack(came)
        after.until(lambda state: state["session_time_ns"] == came + lead)
