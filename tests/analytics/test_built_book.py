"""A day is built into the book as a person gets it."""

from __future__ import annotations

import pytest
from book_of_a_day import Book

pytestmark = pytest.mark.stack


def test_every_model_of_a_traded_day_is_built_and_every_test_holds(built_book: Book) -> None:
    assert not [made for made in built_book.outcome.made if made.failed]
    assert not built_book.outcome.failures
    assert len(built_book.outcome.tested) > 50


def test_staging_has_every_fill_the_session_log_tells_of(built_book: Book) -> None:
    told = sorted((f.order_id, f.trade_id, f.quantity, f.price_paise) for f in built_book.day.fills())
    kept = built_book.rows(
        "select order_id, trade_id, quantity, price_paise from kitepilot_staging.stg_fills"
    )
    assert len(told) > 5
    assert sorted(tuple(row.values()) for row in kept) == told
