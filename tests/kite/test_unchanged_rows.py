"""The book is read whole each time, and a row is read again only when the broker has changed it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_adapter.kite.parse import RowError, order_report
from broker_adapter.kite.unchanged_rows import UnchangedRows

BOOKS = st.lists(
    st.dictionaries(st.sampled_from("abcd"), st.integers(min_value=0, max_value=2)), min_size=1, max_size=8
)


def rows(book: dict[str, int]) -> list[dict[str, Any]]:
    return [{"order_id": name, "filled_quantity": filled} for name, filled in book.items()]


@given(BOOKS)
def test_what_is_reported_is_what_reading_every_row_afresh_would_report(books: list[dict[str, int]]) -> None:
    read = []

    def report(row: Any) -> tuple[str, int]:
        read.append(row)
        return row["order_id"], row["filled_quantity"]

    remembered = UnchangedRows(lambda row: row["order_id"], report)
    before: dict[str, int] = {}
    for book in books:
        read.clear()
        assert remembered.reports(rows(book)) == list(book.items())
        assert [row["order_id"] for row in read] == [n for n in book if before.get(n) != book[n]]
        before = book


def test_a_row_that_cannot_be_read_is_an_error_each_time_and_forgets_nothing() -> None:
    good = {"order_id": "1", "status": "OPEN", "tradingsymbol": "ALPHA", "instrument_token": 1}
    good |= {"transaction_type": "BUY", "quantity": 5, "filled_quantity": 0, "average_price": 0}
    remembered = UnchangedRows(lambda row: row["order_id"], order_report)
    [first] = remembered.reports([good])
    for _ in range(2):
        with pytest.raises(RowError, match="quantity"):
            remembered.reports([good, good | {"order_id": "2", "quantity": "many"}])
    assert remembered.reports([dict(good)])[0] is first
