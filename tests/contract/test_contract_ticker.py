"""TC-60 to TC-68: what the ticker tells, and what happens to it."""

from __future__ import annotations

import pytest
from cases import case
from drivers import Driver, Terms, new_tag, until
from ears import Ears, KitePilotEars, StockEars, hear
from lively_market import ALPHA, BETA, S
from sandbox_thread import Playing, wait

from broker_adapter.kite import session
from kitepilot.run import Run

NEVER_NOTICES = "the stock ticker sends no pings and never notices (pykiteconnect issue 229)"
FALLS = "the stock ticker closes the connection (pykiteconnect issue 88)"


@pytest.mark.parametrize("mode", ["ltp", "quote", "full"])
@case(60, "An instrument ticks in the mode that was asked for")
def test_an_instrument_ticks_in_its_mode(driver: Driver, ears: Ears, mode: str) -> None:
    ears.subscribe(BETA.token, mode)
    tick = hear(ears, lambda e: e[:3] == ["tick", BETA.token, mode], f"a tick in {mode} mode")
    assert tick[3] in (2000_00, 2005_00)


@case(61, "The mode can be changed while it ticks")
def test_the_mode_can_be_changed(driver: Driver, ears: Ears) -> None:
    for mode in ("full", "ltp"):
        ears.subscribe(ALPHA.token, mode)
        hear(ears, lambda e, mode=mode: e[:3] == ["tick", ALPHA.token, mode], f"a tick in {mode} mode")


@case(62, "What is not subscribed does not tick, and after unsubscribing it is still")
def test_unsubscribing_makes_it_still(driver: Driver, ears: Ears, venue: Playing) -> None:
    for token in (ALPHA.token, BETA.token):
        ears.subscribe(token, "full")
        hear(ears, lambda e, token=token: e[:2] == ["tick", token], "both tick")
    ears.unsubscribe(ALPHA.token)
    later = venue.now() + 2 * S
    wait(lambda: venue.now() > later, "two seconds pass")
    still = len(ears.events)
    hear(ears, lambda e: e[:2] == ["tick", BETA.token], "the other goes on", still)
    assert {e[1] for e in ears.events[still:] if e[0] == "tick"} == {BETA.token}


@case(63, "The end of an order is told with its tag")
def test_the_end_of_an_order_is_told(driver: Driver, ears: Ears) -> None:
    ends = {"COMPLETE": Terms(quantity=5, price=500_10), "CANCELLED": Terms(price=490_00, validity="IOC")}
    for end, terms in ends.items():
        _, tag = new_tag()
        until(driver, driver.place(Terms(**{**vars(terms), "tag": tag})).said)
        hear(ears, lambda e, tag=tag, end=end: e == ["order", end, tag], f"{end} is told")


@case(64, "A token that is no good is refused at the handshake")
def test_a_bad_token_is_refused(driver: Driver, logged_in: Run) -> None:
    kind = KitePilotEars if type(driver).__name__ == "KitePilotDriver" else StockEars
    ears = kind(logged_in.config.broker, "nonsense")
    try:
        reason = hear(ears, lambda e: e[0] == "down", "the refusal")[1]
    finally:
        ears.close()
    assert "403" in reason or "login needed" in reason
    assert ["up"] not in ears.events


@case(65, "After a cut the client comes back and asks again: the server restores nothing")
def test_after_a_cut_it_ticks_again(driver: Driver, ears: Ears, venue: Playing) -> None:
    ears.subscribe(BETA.token, "full")
    hear(ears, lambda e: e[:2] == ["tick", BETA.token], "it ticks")
    before = len(ears.events)
    venue.fault("abrupt_close")
    hear(ears, lambda e: e[0] == "down", "the cut is noticed", before)
    hear(ears, lambda e: e == ["up"], "it is back", before)
    again = next(n for n, e in enumerate(ears.events) if n >= before and e == ["up"])
    hear(ears, lambda e: e[:3] == ["tick", BETA.token, "full"], "it ticks in its mode", again)


@case(
    66, "A socket that goes dead without a word is noticed and replaced", only="KitePilot", why=NEVER_NOTICES
)
def test_a_silent_socket_is_replaced(driver: Driver, logged_in: Run, fresh: Playing) -> None:
    ears = KitePilotEars(logged_in.config.broker, session.load(logged_in).access_token, idle_timeout_s=1.0)
    try:
        ears.subscribe(BETA.token, "full")
        hear(ears, lambda e: e[:2] == ["tick", BETA.token], "it ticks")
        before = len(ears.events)
        fresh.fault("silent_socket")
        hear(ears, lambda e: e[0] == "down", "the silence is noticed", before)
        hear(ears, lambda e: e == ["up"], "it is back", before)
    finally:
        ears.close()


@case(67, "A frame that cannot be read costs that frame, not the connection", only="KitePilot", why=FALLS)
def test_a_poison_frame_costs_itself(driver: Driver, ears: Ears, venue: Playing) -> None:
    ears.subscribe(BETA.token, "full")
    hear(ears, lambda e: e[:2] == ["tick", BETA.token], "it ticks")
    before = len(ears.events)
    venue.fault("poison_frame")
    later = venue.now() + 2 * S
    wait(lambda: venue.now() > later, "two seconds pass")
    hear(ears, lambda e: e[:2] == ["tick", BETA.token], "it goes on", len(ears.events))
    assert not [e for e in ears.events[before:] if e[0] == "down"]
