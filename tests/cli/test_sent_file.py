"""What somebody sends is read as one file after the other."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.cli.research_answers import SentFile
from research.datasets.upload import Upload, UploadError, name_of, read_upload
from research.generated_bars import GeneratedBars, csv_of

DAY = date(2026, 11, 19)
MOST = 4_000


def sent(instruments: int, minutes: int, *, packed: bool) -> bytes:
    text = csv_of(GeneratedBars(instruments, (DAY,), missing=0.1).read(DAY), minutes)
    if not packed:
        return text
    file = io.BytesIO()
    pq.write_table(pa.csv.read_csv(io.BytesIO(text)), file)
    return file.getvalue()


def said(upload: Upload) -> object:
    (bars,) = upload.sessions
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.present, bars.close_at)
    return upload.rows, upload.refused, bars.symbols, [each.tolist() for each in columns]


FILES = st.builds(sent, st.integers(1, 3), st.integers(2, 40), packed=st.booleans())


@settings(max_examples=15, deadline=None)
@given(st.lists(FILES, min_size=1, max_size=4))
def test_a_file_is_read_as_if_it_lay_alone_on_a_disk_whatever_was_sent_before(
    tmp_path_factory: pytest.TempPathFactory, files: list[bytes]
) -> None:
    held = SentFile()
    for content in files:
        path = tmp_path_factory.mktemp("alone") / name_of(content)
        path.write_bytes(content)
        assert said(held.read(content, MOST)) == said(read_upload(path, MOST))


def test_nothing_of_what_was_sent_stays_in_memory_or_is_read_with_the_next() -> None:
    held = SentFile()
    with pytest.raises(UploadError):
        held.read(b"time,open,high,low,close\n" + b"nonsense,1,1,1,1\n" * 500, MOST)
    held.read(sent(2, 40, packed=False), MOST)
    assert Path(f"/proc/self/fd/{held._file.fileno()}").stat().st_size == 0
    assert held.read(sent(1, 2, packed=False), MOST).rows <= 2
