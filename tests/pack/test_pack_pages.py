"""The page of a day: it says what is known, says what is not, loads nothing, and is the same each time."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.daily_packs import Changes
from infra.daily_packs.differences import Figure, FileChange, RowChange
from kitepilot.cli.pack import change_words
from kitepilot.cli.pack.session_words import session_words
from kitepilot.market.calendar import ist_ns
from research.pack import cells, day, page, pdf, week
from research.pack.book import DayBook
from research.pack.document import Cell, Document, Section, Sentence, Table, Tile

RESULT: dict[str, Any] = {
    "net_pnl_paise": -142_245,
    "gross_pnl_paise": 8_435,
    "charges_paise": 150_680,
    "open_positions": 0,
    "round_trips": 24,
    "denials": {"stale_quote": 3},
    "reconciled": True,
    "tick_to_signal_ms": {"p95": 61.0},
}
AWAY = DayBook(
    run_id="paper-20261120-0001",
    session_date="2026-11-20",
    mode="paper",
    config_hash="c0ffee",
    version=1,
    session="A regular session, 09:15 to 15:35 IST.",
    failed=("ClickHouse was away.",),
    result=RESULT,
    lacking={"fct_round_trips": "ClickHouse did not answer"},
)


def test_without_the_marts_the_first_screen_is_the_runs_own_conclusion_and_says_failed() -> None:
    document = day.document(AWAY)
    assert document.failed == ("ClickHouse was away.",)
    shown = {tile.name: tile for tile in document.tiles}
    assert shown["Net result"].figure == "-₹1,422.45" and shown["Net result"].tone == "bad"
    assert shown["Trades"].figure == "24"
    assert shown["Entries refused"].figure == "3"
    assert shown["Flat at the cutoff"].figure == cells.DASH  # nobody looked: never a guess
    text = page.html(document)
    assert text.index("FAILED") < text.index("Net result")
    assert "ABOVE the aim of 50 ms" in text


def test_of_a_day_of_which_nothing_is_known_every_tile_says_so() -> None:
    document = day.document(replace(AWAY, result={}))
    assert {tile.note for tile in document.tiles if tile.figure == cells.DASH} >= {"not known: see below"}
    assert all(tile.figure == cells.DASH for tile in document.tiles if tile.name in ("Net result", "Trades"))


def test_a_part_that_cannot_be_drawn_fails_the_page_and_the_rest_stands() -> None:
    broken = replace(AWAY, lacking={}, marts={"fct_denials": [{"denial": "stale_quote"}]}, failed=())
    document = day.document(broken)
    assert len(document.failed) == 1 and "Refused" in document.failed[0]
    assert {section.title for section in document.sections} >= {"Refused", "Trades", "What is in this pack"}


def test_page_and_pdf_are_the_same_bytes_and_look_nowhere_else() -> None:
    document = day.document(AWAY)
    assert page.html(document) == page.html(day.document(AWAY))
    session = date(2026, 11, 20)
    first, second = (pdf.pdf(day.document(AWAY), session) for _ in range(2))
    assert first == second and first.startswith(b"%PDF")
    links = re.findall(r'(?:href|src)="([^"]*)"', page.html(document))
    assert all(link.startswith("#") for link in links)
    assert "<script" not in page.html(document)


TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=60)


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(TEXT, min_size=6, max_size=6))
def test_whatever_a_broker_writes_is_shown_as_text(texts: list[str]) -> None:
    """Symbols, refusals and messages come from outside: they are never markup."""
    title, tile, said, head, cell, why = (f"<b>{each}" for each in texts)
    grid = Table((head, "n"), ((Cell(cell), Cell("1")),))
    document = Document(
        title=title,
        subtitle="",
        tiles=(Tile(tile, "1"),),
        failed=(why,),
        sections=(Section("s", (Sentence(said),), tables=(grid,)),),
    )
    assert "<b>" not in page.html(document)


def test_a_pdf_has_all_rows_of_a_long_table_on_as_many_pages_as_it_takes() -> None:
    rows = tuple((Cell(f"row {n}"), Cell(f"{n}", "bad" if n % 2 else "")) for n in range(150))
    document = Document("t", "s", sections=(Section("long", tables=(Table(("what", "n"), rows),)),))
    made = pdf.pdf(document, date(2026, 11, 20))
    assert made.count(b"/Type /Page\n") >= 3


def test_special_sessions_are_named_for_what_they_are() -> None:
    muhurat, half, regular = date(2025, 10, 21), date(2024, 3, 2), date(2026, 11, 20)
    said = [
        session_words(each.isoformat(), ist_ns(each, opens), ist_ns(each, closes))
        for each, opens, closes in (
            (muhurat, "13:45", "14:45"),
            (half, "09:15", "12:30"),
            (regular, "09:15", "15:35"),
        )
    ]
    assert said[0].startswith("A Muhurat session") and "13:45 to 14:45 IST" in said[0]
    assert "regular" not in said[1] and "09:15 to 12:30 IST" in said[1]
    assert said[2] == "A regular session, 09:15 to 15:35 IST."


def test_a_late_fill_is_told_in_rupees_with_the_row_and_what_it_moved() -> None:
    fill = {"order_id": "o1", "trade_id": "t9", "side": "BUY", "quantity": 5, "price_paise": 10_050}
    changes = Changes(
        since=1,
        status_before="complete",
        figures=(Figure("account net_pnl_paise", -100, -350),),
        files=(
            FileChange(
                name="records/fills.jsonl",
                what="other",
                changed=1,
                rows=(RowChange(key="o1 t9", before=None, after=fill),),
            ),
        ),
    )
    found = change_words.lines(changes, "complete")
    assert (found[0].before, found[0].after, found[0].difference) == ("-1.00", "-3.50", "-2.50")
    assert found[1].before == cells.DASH and found[1].after == "BUY 5 100.50 o1"
    document = day.document(replace(AWAY, version=2, changes=found))
    assert document.sections[0].title.startswith("Changes")
    assert "BUY 5 100.50 o1" in page.html(document)


def test_a_week_of_which_nothing_was_recorded_is_a_page_that_says_so() -> None:
    text = page.html(week.document(week.WeekBook("2026-W47", date(2026, 11, 16), "paper")))
    assert "No day of this week was recorded." in text


@given(paise=st.integers(-(10**12), 10**12))
def test_a_result_is_green_above_nothing_red_below_and_keeps_its_paise(paise: int) -> None:
    cell = cells.result(paise)
    assert cell.tone == ("good" if paise > 0 else "bad" if paise < 0 else "")
    assert int(re.sub(r"[,.]", "", cell.text)) == paise
