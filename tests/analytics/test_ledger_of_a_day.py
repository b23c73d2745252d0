"""A day that the real flows traded: the ledger's marts against a fresh fold of its session log."""

from __future__ import annotations

import pytest
from book_of_a_day import Book

from kitepilot.events import SessionEvent
from kitepilot.risk.refold import Summary, fold_all, summary

pytestmark = pytest.mark.stack


def folded(book: Book) -> Summary:
    events = (event for event in book.day.events("session") if isinstance(event, SessionEvent))
    state, _ = fold_all(events)
    assert state is not None
    return summary(state)


def test_the_days_profit_and_charges_are_those_of_the_session_log_folded_anew(built_book: Book) -> None:
    told = folded(built_book)
    assert told.fills > 5
    [daily] = built_book.rows(
        "select sum(gross_pnl_paise) as gross, sum(charges_paise) as charges from fct_pnl_daily"
    )
    [lines] = built_book.rows(
        "select sum(charges_paise) as ours, sum(account_charges_paise) as account from fct_charges_daily"
    )
    assert daily == {"gross": told.realised_paise, "charges": told.charges_paise}
    assert lines == {"ours": told.charges_paise, "account": told.account_charges_paise}


def test_shares_traded_and_held_are_those_of_the_fold_instrument_by_instrument(built_book: Book) -> None:
    rows = built_book.rows(
        "select token, sum(realised_paise) as realised, sumIf(quantity, side = 'BUY') as bought,"
        " sumIf(quantity, side = 'SELL') as sold from kitepilot_intermediate.int_ledger_legs"
        " where whose = 'ours' group by token order by token"
    )
    assert [(row["token"], row["realised"], row["bought"], row["sold"]) for row in rows] == [
        (each.token, each.realised_paise, each.bought_quantity, each.sold_quantity)
        for each in folded(built_book).instruments
    ]
