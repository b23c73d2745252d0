"""The broker's note against our books: what agrees leaves nothing, what differs is found and named."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from decimal import Decimal

import pytest
from days_of_trades import DAY, days
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kitepilot.contract_note.compare import Comparison, Kind, compare
from kitepilot.contract_note.csv_to_note import note_of
from kitepilot.contract_note.note import TAKEN, Charge, Note, NoteError, Trade
from kitepilot.contract_note.note_to_csv import csv_of, expected_note
from kitepilot.events import Side

CHANGES = {
    "order_id": lambda t: replace(t, order_id=t.order_id + "9"),
    "trade_id": lambda t: replace(t, trade_id=t.trade_id + "9"),
    "tradingsymbol": lambda t: replace(t, tradingsymbol="OTHER"),
    "exchange": lambda t: replace(t, exchange="BSE"),
    "side": lambda t: replace(t, side=Side.SELL if t.side is Side.BUY else Side.BUY),
    "quantity": lambda t: replace(t, quantity=t.quantity + 1),
    "price": lambda t: replace(t, price_paise=t.price_paise + 5),
    "time": lambda t: replace(t, at=t.at.replace(second=t.at.second + 1)),
}

#: Half of its GST rounds to nothing, the whole of it to a paisa.
SMALL_TRADE = Trade("261120000000000", "20000000", "INFY", Side.BUY, 83, 101, time(9, 0))


def through_a_file(note: Note, ours: list[Trade]) -> Comparison:
    return compare(note_of([csv_of(note).splitlines(keepends=True)]), ours)


@given(days(), st.booleans(), st.randoms(use_true_random=False))
def test_a_note_written_from_our_day_leaves_no_difference_in_whatever_order_its_rows_come(
    ours: list[Trade], split_gst: bool, random: object
) -> None:
    note = expected_note(DAY, ours, split_gst=split_gst)
    shuffled = list(note.trades)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = through_a_file(replace(note, trades=tuple(shuffled)), ours)
    assert found.findings == ()
    assert found.agreed == len(ours)


@given(days(least=1), st.data())
def test_any_single_changed_cell_of_a_trade_is_found_and_named(
    ours: list[Trade], data: st.DataObject
) -> None:
    cell = data.draw(st.sampled_from(sorted(CHANGES)))
    place = data.draw(st.integers(0, len(ours) - 1))
    if cell == "order_id":  # were it the only order, its number could be the exchange's
        assume(len({trade.order_id for trade in ours}) > 1)
    note = expected_note(DAY, ours)
    changed = list(note.trades)
    changed[place] = CHANGES[cell](changed[place])
    found = through_a_file(replace(note, trades=tuple(changed)), ours)
    assert not found.reconciled
    [finding] = found.findings
    assert finding.what.endswith(f"trade {ours[place].trade_id}: {cell}")
    assert finding.line == place + 3
    assert finding.kind is Kind.DIFFERS


@given(ours=days(), charge=st.sampled_from(Charge), more=st.integers(1, 10_000), split_gst=st.booleans())
@example(ours=[SMALL_TRADE], charge=Charge.BROKERAGE, more=1, split_gst=True)
def test_any_single_changed_line_of_the_charges_is_found_and_named(
    ours: list[Trade], charge: Charge, more: int, split_gst: bool
) -> None:
    note = expected_note(DAY, ours, split_gst=split_gst)
    assume(charge not in (Charge.CGST, Charge.SGST, Charge.IGST))
    said = dict(note.charges)
    said[charge] += more
    found = through_a_file(replace(note, charges=said), ours)
    [finding] = found.findings
    assert finding.what == charge.value
    assert finding.paise == more
    assert found.reconciled == (finding.kind is Kind.ROUNDING)


@pytest.mark.parametrize("charge", [Charge.CGST, Charge.SGST, Charge.IGST])
@given(ours=days(least=1), more=st.integers(2, 10_000))
def test_gst_is_compared_by_kind(charge: Charge, ours: list[Trade], more: int) -> None:
    note = expected_note(DAY, ours, split_gst=charge is not Charge.IGST)
    said = dict(note.charges)
    said[charge] += more
    found = through_a_file(replace(note, charges=said), ours)
    assert charge.value in {finding.what for finding in found.findings}


@given(days(least=1), st.data())
def test_a_trade_missing_on_either_side_is_named_there(ours: list[Trade], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(ours) - 1))
    fewer = [trade for at, trade in enumerate(ours) if at != place]
    assume(fewer)
    [missing] = through_a_file(
        replace(expected_note(DAY, ours), trades=tuple(fewer), charges={}, lists_charges=False), ours
    ).findings
    assert (missing.kind, missing.line) == (Kind.NOT_ON_NOTE, 0)
    [strange] = through_a_file(
        replace(expected_note(DAY, ours), charges={}, lists_charges=False), fewer
    ).findings
    assert (strange.kind, strange.line) == (Kind.NOT_OURS, place + 3)
    assert ours[place].trade_id in missing.what
    assert ours[place].trade_id in strange.what


@given(days())
def test_the_exchanges_own_order_numbers_are_understood_by_the_trades_they_hold(ours: list[Trade]) -> None:
    theirs = tuple(replace(trade, order_id="11" + trade.order_id[::-1]) for trade in ours)
    note = expected_note(DAY, ours)
    found = through_a_file(replace(note, trades=theirs), ours)
    assert found.findings == ()
    assert found.exchange_numbers == bool(ours)


@given(days(least=2), st.data())
def test_charges_that_follow_from_a_trade_that_differs_say_so(ours: list[Trade], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(ours) - 1))
    theirs = list(ours)
    theirs[place] = replace(theirs[place], quantity=theirs[place].quantity * 2)
    found = through_a_file(expected_note(DAY, theirs), ours)
    unexplained = [f for f in found.findings if f.kind is Kind.DIFFERS and "no rounding" in f.why]
    assert unexplained == []
    assert any(finding.what.endswith("quantity") for finding in found.findings)


WORKED = [
    Trade("261120000000001", "1", "INFY", Side.BUY, 500, 100_00, time(9, 30)),
    Trade("261120000000002", "2", "INFY", Side.SELL, 500, 105_00, time(9, 40)),
]


@pytest.mark.parametrize(
    ("charge", "rupees", "why"),
    [
        (Charge.STT, "13.13", "on what was sold, to the paisa"),
        (Charge.STT, "13.125", "not rounded"),
        (Charge.STAMP, "2", "to the rupee"),
        (Charge.TRANSACTION, "3.1468", "not rounded"),
        (Charge.SEBI, "0.1025", "not rounded"),
    ],
)
def test_a_known_rounding_is_explained_and_is_no_difference(charge: Charge, rupees: str, why: str) -> None:
    note = expected_note(DAY, WORKED)
    found = compare(replace(note, charges=note.charges | {charge: Decimal(rupees) * 100}), WORKED)
    assert [(f.what, f.why) for f in found.findings] == [(charge.value, why)]
    assert found.reconciled


def test_the_worked_example_of_the_brokers_article_is_what_the_note_should_say() -> None:
    said = expected_note(DAY, WORKED).charges
    assert {charge: said[charge] for charge in (Charge.STT, Charge.STAMP, Charge.BROKERAGE)} == {
        Charge.STT: 1300,
        Charge.STAMP: 150,
        Charge.BROKERAGE: 3075,
    }
    assert sum(said[charge] for charge in TAKEN) == 5462
    assert said[Charge.NET] == 2_500_00 - 5462


TRADEBOOK = (
    "symbol,isin,trade_date,exchange,segment,series,trade_type,auction,quantity,price,trade_id,order_id,"
    "order_execution_time\n"
)
INFY = (
    "INFY,INE009A01021,2026-11-20,NSE,EQ,EQ,{side},false,500.000000,{price},{trade},{order},2026-11-20T{at}\n"
)


def test_consoles_tradebook_and_its_charges_are_read_as_two_files() -> None:
    trades = TRADEBOOK + INFY.format(
        side="buy", price="100.000000", trade=1, order="1100000001", at="09:30:00"
    )
    trades += INFY.format(side="sell", price="105.000000", trade=2, order="1100000002", at="09:40:00")
    charges = "Account Head,Amount\nBrokerage - Z,30.75\nIntegrated GST - Z,6.1199\nStamp Duty - Z,2\n"
    charges += "Securities Transaction Tax - Z,13\nSEBI Turnover Fees - Z,0.1025\n"
    charges += "Exchange Transaction Charges - Z,3.1468\n"
    note = note_of([trades.splitlines(), charges.splitlines()])
    assert note.day == DAY
    found = compare(note, WORKED)
    assert found.agreed == 2
    assert found.reconciled, found.findings
    assert {finding.what for finding in found.findings} == {"igst", "stamp", "sebi", "transaction"}


def test_a_day_of_a_longer_tradebook_is_chosen() -> None:
    other = INFY.replace("2026-11-20", "2026-11-19")
    rows = [TRADEBOOK, other.format(side="buy", price="1", trade=9, order=9, at="09:30:00")]
    rows.append(INFY.format(side="buy", price="100", trade=1, order=1, at="09:30:00"))
    assert [trade.trade_id for trade in note_of([rows], DAY).trades] == ["1"]
    with pytest.raises(NoteError, match=r"line 3: trades of 2026-11-20, line 2 says 2026-11-19"):
        note_of([rows])


ROW = INFY.format(side="buy", price="100", trade=1, order=1, at="09:30:00")
REFUSED = {
    "line 2: quantity '1.5'": [TRADEBOOK, ROW.replace("500.000000", "1.5")],
    "line 2: quantity '-5'": [TRADEBOOK, ROW.replace("500.000000", "-5")],
    "line 2: price '1OO'|line 2: '1OO' is not an amount": [TRADEBOOK, ROW.replace(",100,", ",1OO,")],
    "line 2: price '202.7014' is finer": [TRADEBOOK, ROW.replace(",100,", ",202.7014,")],
    "line 2: 'hold' is neither buy nor sell": [TRADEBOOK, ROW.replace("buy", "hold")],
    "line 2: '2026-20-11' is not a date": [TRADEBOOK, ROW.replace("2026-11-20,NSE", "2026-20-11,NSE")],
    "line 2: '9.30' is not a time": [TRADEBOOK, ROW.replace("2026-11-20T09:30:00", "9.30")],
    "line 2: 3 cells, the header has 13": [TRADEBOOK, "INFY,INE009A01021,2026-11-20\n"],
    "line 2: a trade without its order number": [TRADEBOOK, ROW.replace(",1,1,", ",1,,")],
    "line 2: the symbol is missing": [TRADEBOOK, ROW.replace("INFY,", ",", 1)],
    "line 1: the header lacks price": [TRADEBOOK.replace(",price", "")],
    "line 1: 'hello' stands before any header": ["hello,world\n"],
    "line 1: neither trades nor charges": [],
    "line 1: these are averages": [
        "Contract Description,Buy(B)/Sell(S),WAP (Weighted Average Price) Per Unit\n"
    ],
    "line 2: 'Tea money' is no line": ["Account Head,Amount\n", "Tea money,5\n"],
    "line 3: 'Stamp duty' again, first on line 2": [
        "Account Head,Amount\n",
        "Stamp duty,5\n",
        "Stamp duty,5\n",
    ],
    "line 2: 'STT' has no amount": ["Account Head,Amount\n", "STT\n"],
    "line 2: 'five' is not an amount": ["Account Head,Amount\n", "STT,five\n"],
    "line 1: the header lacks `NET TOTAL`": ["Particulars,NCL-Cash\n"],
    "does not say its day": ["Account Head,Amount\n", "STT,5\n"],
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_line_and_what_is_wrong(said: str) -> None:
    with pytest.raises(NoteError, match=said):
        note_of([REFUSED[said]])


@given(st.lists(st.text(max_size=40), max_size=8))
def test_no_file_whatever_makes_more_than_a_named_refusal(lines: list[str]) -> None:
    for start in ([], [TRADEBOOK], ["Account Head,Amount"]):
        try:
            note_of([[*start, *lines]], date(2026, 11, 20))
        except NoteError as err:
            assert err.line >= 1
