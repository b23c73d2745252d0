"""Refusals that a person must hear of: told once for each reason, and again after things had been well."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker_adapter.gateway.refusals import ACCOUNT_CODES, LOGIN, Refusals
from broker_adapter.gateway.slicing import GATEWAY_LIMIT
from kitepilot.ports import Accepted, AuthLost, Rejected, Throttled, Unknown

REASONS = {
    "ip_refused": Rejected("ip_refused", "IP (x) is not allowed"),
    "day_cap": Rejected("day_cap", "Maximum allowed order requests exceeded"),
    LOGIN: AuthLost("Token is invalid or has expired."),
    GATEWAY_LIMIT: Rejected(GATEWAY_LIMIT, "protection 201 bps above 200"),
}
ORDINARY = [Rejected("InputException", "no"), Unknown("timeout"), Throttled("Too many requests")]


def test_an_ordinary_refusal_concerns_its_order_alone() -> None:
    assert [Refusals().hear(outcome) for outcome in ORDINARY] == [None] * 3
    assert set(REASONS) == {*ACCOUNT_CODES, LOGIN, GATEWAY_LIMIT}


def test_only_what_our_own_second_look_refuses_halts() -> None:
    found = {name: Refusals().hear(reason) for name, reason in REASONS.items()}
    assert {name for name, refusal in found.items() if refusal and refusal.halts} == {GATEWAY_LIMIT}


@given(st.lists(st.sampled_from([*REASONS.values(), *ORDINARY, Accepted("1")]), max_size=40))
def test_each_reason_is_told_once_between_two_accepted_orders(outcomes: list[object]) -> None:
    refusals = Refusals()
    told: list[str] = []
    for outcome in outcomes:
        refusal = refusals.hear(outcome)  # type: ignore[arg-type]
        if isinstance(outcome, Accepted):
            told = []
        if refusal is not None:
            assert outcome == REASONS[refusal.subject]
            told.append(refusal.subject)
        assert len(told) == len(set(told))
        assert {name for name, reason in REASONS.items() if reason == outcome} <= set(told)
