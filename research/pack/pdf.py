"""A document -> PDF, A4, fonts and charts in it. The same document gives the same bytes."""

from __future__ import annotations

import io
from datetime import date, datetime, time
from pathlib import Path
from typing import Final

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace
from matplotlib import get_data_path

from kitepilot.market.calendar import IST
from research.pack.document import Cell, Chart, Document, Section, Sentence, Table, Tile, Tone

FONT: Final = "DejaVu"  # has the sign of the rupee, and comes with matplotlib
SOURCES: Final = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
COLOURS: Final[dict[Tone, tuple[int, int, int]]] = {
    "": (27, 37, 48),
    "good": (10, 122, 75),
    "bad": (179, 38, 30),
    "soft": (91, 102, 114),
}
LINE: Final = (217, 223, 229)
TILES_ABREAST: Final = 4
TILE_HEIGHT: Final = 19.0
WIDE: Final = 9  # from so many columns on a table is set smaller
LONGEST_CELL: Final = 60
SMALLEST: Final = 5.0


def pdf(document: Document, session_date: date) -> bytes:
    """The day's midnight (IST) stands in it as its date of creation: there is no other clock."""
    sheet = _Sheet(document.title, session_date)
    sheet.heading(document)
    sheet.tiles(document.tiles)
    sheet.attention(document.attention)
    for section in document.sections:
        sheet.section(section)
    if document.footer:
        sheet.words(Sentence(document.footer, "soft"), 7)
    return sheet.done()


class _Sheet:
    """A4 upright, written from top to bottom."""

    def __init__(self, title: str, session_date: date) -> None:
        self._pdf = FPDF(format="A4")
        self._pdf.set_creation_date(datetime.combine(session_date, time(), IST))
        self._pdf.set_producer("KitePilot")
        self._pdf.set_title(title)
        self._pdf.set_lang("en-IN")
        self._pdf.set_margin(14)
        self._pdf.set_auto_page_break(True, 14)
        for style, source in SOURCES.items():
            self._pdf.add_font(FONT, style, Path(get_data_path()) / "fonts" / "ttf" / source)
        self._pdf.set_draw_color(*LINE)
        self._pdf.add_page()

    def done(self) -> bytes:
        return bytes(self._pdf.output())

    def _font(self, size: float, tone: Tone = "", style: str = "") -> None:
        self._pdf.set_font(FONT, style, size)
        self._pdf.set_text_color(*COLOURS[tone])

    def words(self, said: Sentence, size: float = 9, style: str = "") -> None:
        self._font(size, said.tone, style)
        self._pdf.multi_cell(
            0, size * 0.52, said.text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT, markdown=False
        )

    def heading(self, document: Document) -> None:
        self.words(Sentence(document.title), 15, "B")
        self.words(Sentence(document.subtitle, "soft"))
        if document.failed:
            self._pdf.ln(2)
            self.words(Sentence("FAILED: do not rely on these pages as a whole.", "bad"), 11, "B")
            for why in document.failed:
                self.words(Sentence(why, "bad"))
        self._pdf.ln(3)

    def tiles(self, tiles: tuple[Tile, ...]) -> None:
        width = self._pdf.epw / TILES_ABREAST
        for begin in range(0, len(tiles), TILES_ABREAST):
            top = self._pdf.get_y()
            for place, tile in enumerate(tiles[begin : begin + TILES_ABREAST]):
                self._tile(tile, self._pdf.l_margin + place * width, top, width - 2)
            self._pdf.set_xy(self._pdf.l_margin, top + TILE_HEIGHT + 2)

    def _tile(self, tile: Tile, left: float, top: float, width: float) -> None:
        self._pdf.rect(left, top, width, TILE_HEIGHT, round_corners=True, corner_radius=1.5)
        self._within(tile.name, left, top + 1.2, width, 7.5, "soft")
        self._within(tile.figure, left, top + 5.2, width, 12, tile.tone, "B")
        self._within(tile.note, left, top + 11.6, width, 6.5, "soft")

    def _within(
        self, text: str, left: float, top: float, width: float, size: float, tone: Tone, style: str = ""
    ) -> None:
        """Two lines at most: what is longer is set smaller."""
        self._font(size, tone, style)
        while size > SMALLEST and self._pdf.get_string_width(text) > 2 * (width - 3):
            size -= 0.5
            self._pdf.set_font_size(size)
        self._pdf.set_xy(left + 1, top)
        self._pdf.multi_cell(width - 2, size * 0.46, text, align="L", max_line_height=size * 0.46)

    def attention(self, attention: tuple[Sentence, ...]) -> None:
        if not attention:
            self.words(Sentence("Nothing needs attention.", "good"), 9.5, "B")
            return
        self.words(Sentence("Needs attention"), 9.5, "B")
        for each in attention:
            self.words(Sentence(f"•  {each.text}", each.tone))

    def section(self, section: Section) -> None:
        if self._pdf.will_page_break(30):
            self._pdf.add_page()
        self._pdf.ln(4)
        self._pdf.start_section(section.title)
        self.words(Sentence(section.title), 11.5, "B")
        self._pdf.ln(1)
        for said in section.sentences:
            self.words(said)
        for chart in section.charts:
            self._chart(chart)
        for table in section.tables:
            self._table(table)

    def _chart(self, chart: Chart) -> None:
        self._pdf.ln(1)
        self._pdf.image(
            io.BytesIO(chart.print.encode()), w=self._pdf.epw, alt_text=chart.title, title=chart.title
        )
        self._pdf.ln(1)

    def _table(self, table: Table) -> None:
        size = 6.5 if len(table.heads) >= WIDE else 7.5
        self._pdf.ln(1.5)
        if table.title:
            self.words(Sentence(table.title), 8.5, "B")
        self._font(size)
        with self._pdf.table(
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            col_widths=self._widths(table),
            line_height=size * 0.5,
            padding=(0.5, 0.8),
            text_align=tuple("L" if head in table.text else "R" for head in table.heads),
            headings_style=FontFace(emphasis="BOLD", color=COLOURS["soft"]),
        ) as grid:
            grid.row(table.heads)
            for cells in table.rows:
                row = grid.row()
                for cell in cells:
                    row.cell(cell.text, style=FontFace(color=COLOURS[cell.tone]) if cell.tone else None)
        if table.left_out:
            self.words(Sentence(f"and {table.left_out:,} more in {table.rest}", "soft"), 7.5)

    def _widths(self, table: Table) -> tuple[float, ...]:
        """By the widest word or cell of each column, within reason; fpdf2 shares the page by them."""
        widths = []
        for place, head in enumerate(table.heads):
            longest = max((self._width(row[place]) for row in table.rows), default=0.0)
            word = max((self._pdf.get_string_width(each) for each in head.split()), default=0.0) * 1.12
            widths.append(max(longest, word) + 2.5)
        return tuple(widths)

    def _width(self, cell: Cell) -> float:
        return self._pdf.get_string_width(cell.text[:LONGEST_CELL])
