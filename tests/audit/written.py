"""Entries and chains to try things on."""

from __future__ import annotations

from hypothesis import strategies as st

from kitepilot.audit.records import Entry, Head, Record, linked

_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=6)
_NUMBER = st.integers(0, 2**63 - 1)


def entry(number: int, *, run_id: str = "paper-1", kind: str = "verdict", **ids: str) -> Entry:
    plain = {"subject": "", "intent_id": "", "order_id": ""} | ids
    return Entry(
        run_id=run_id, kind=kind, source="risk", topic="decisions", log_offset=number,
        event_at=1_000 + number, body=f'{{"seq":{number}}}', **plain,
    )  # fmt: skip


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    return Entry(
        run_id=draw(_TEXT), kind=draw(_TEXT), source=draw(_TEXT), topic=draw(_TEXT), subject=draw(_TEXT),
        intent_id=draw(_TEXT), order_id=draw(_TEXT), log_offset=draw(_NUMBER), event_at=draw(_NUMBER),
        body=draw(_TEXT),
    )  # fmt: skip


def chain(of: list[Entry], at: int = 5) -> list[Record]:
    head, made = Head(), []
    for each in of:
        made.append(linked(each, head, at))
        head = Head(made[-1].seq, made[-1].hash)
    return made
