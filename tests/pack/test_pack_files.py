"""A pack as a file: the same papers give the same bytes, and what a later version changed is named."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.daily_packs import (
    MadeBy,
    Manifest,
    PackError,
    bundle,
    differences,
    packs_of,
    path_of,
    read_manifest,
)
from infra.daily_packs.differences import FIGURES
from infra.daily_packs.manifest import COMPLETE, FAILED, FORMAT, entries

FILLS = "records/fills.jsonl"
NAMES = st.sampled_from(
    ("report.html", FIGURES, "records/fills.jsonl", "records/a.csv", "models/x.card.json")
)
PAPERS = st.dictionaries(NAMES, st.binary(max_size=400), min_size=1)
FILL = st.fixed_dictionaries({"quantity": st.integers(1, 9), "price_paise": st.integers(5, 500)})
TRADES = st.dictionaries(st.tuples(st.sampled_from("ab"), st.integers(0, 30).map(str)), FILL)


def written(folder: Path, papers: dict[str, bytes]) -> Path:
    for name, content in papers.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def manifest_of(folder: Path, version: int = 1, status: str = COMPLETE) -> Manifest:
    return Manifest(
        format=FORMAT,
        run_id="paper-20261120-0001",
        session_date="2026-11-20",
        mode="paper",
        config_hash="c",
        version=version,
        status=status,
        why=(),
        audit=None,
        made_by=MadeBy("1", "code"),
        files=entries(folder),
    )


@settings(max_examples=30, deadline=None)
@given(papers=PAPERS)
def test_the_same_papers_give_the_same_bytes_and_the_manifest_has_their_hashes(
    papers: dict[str, bytes],
) -> None:
    with tempfile.TemporaryDirectory() as place:
        packs = []
        for turn, order in enumerate((list(papers), list(reversed(papers)))):
            folder = written(Path(place) / f"{turn}", {name: papers[name] for name in order})
            pack = Path(place) / f"{turn}.zip"
            bundle(folder, manifest_of(folder), pack)
            packs.append(pack)
        assert packs[0].read_bytes() == packs[1].read_bytes()
        assert not list(Path(place).glob(".*"))
        with zipfile.ZipFile(packs[0]) as zipped:
            files = read_manifest(packs[0]).files
            assert {each.name for each in files} == papers.keys()
            for each in files:
                content = zipped.read(each.name)
                assert content == papers[each.name]
                assert (each.bytes, each.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def lines(trades: dict[tuple[str, str], dict[str, int]]) -> bytes:
    return b"".join(
        msgspec.json.encode({"order_id": order, "trade_id": trade, **said}) + b"\n"
        for (order, trade), said in trades.items()
    )


@settings(max_examples=60, deadline=None)
@given(before=TRADES, after=TRADES)
def test_a_later_version_names_exactly_the_fills_that_are_new_gone_or_other(
    before: dict[tuple[str, str], dict[str, int]], after: dict[tuple[str, str], dict[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        old = written(Path(place) / "old", {FILLS: lines(before), FIGURES: b'{"net_paise":5,"gone":1}'})
        new = written(Path(place) / "new", {FILLS: lines(after), FIGURES: b'{"net_paise":7,"came":2}'})
        pack = Path(place) / "old.zip"
        bundle(old, manifest_of(old), pack)
        found = differences(pack, read_manifest(pack), new, entries(new))
    expected = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    rows = [row for file in found.files if file.name == FILLS for row in file.rows]
    assert {row.key for row in rows} == {" ".join(key) for key in expected}
    for row in rows:
        order, _, trade = row.key.partition(" ")
        for side, said in ((row.before, before), (row.after, after)):
            kept = said.get((order, trade))
            assert side == (kept and {"order_id": order, "trade_id": trade, **kept})
    assert {(each.name, each.before, each.after) for each in found.figures} == {
        ("net_paise", 5, 7),
        ("came", None, 2),
        ("gone", 1, None),
    }


def test_versions_are_counted_and_a_failed_one_says_so_in_its_name(tmp_path: Path) -> None:
    folder = written(tmp_path / "papers", {FIGURES: b"{}"})
    for version, status in ((1, COMPLETE), (2, FAILED), (10, COMPLETE)):
        manifest = manifest_of(folder, version, status)
        bundle(folder, manifest, path_of(tmp_path, "2026-11-20", manifest.run_id, version, status))
    found = packs_of(tmp_path, "2026-11-20", "paper-20261120-0001")
    assert [(each.version, each.failed) for each in found] == [(1, False), (2, True), (10, False)]
    assert "FAILED" in found[1].path.name
    assert packs_of(tmp_path, "2026-11-20", "paper-20261120-0002") == []


def test_what_is_no_pack_is_refused_by_name(tmp_path: Path) -> None:
    stranger = tmp_path / "a.zip"
    stranger.write_bytes(b"no zip at all")
    with pytest.raises(PackError, match=r"a\.zip is not a daily pack"):
        read_manifest(stranger)
