"""Bars into a store of labelled rows: features by the live kernels, labels and weights session by session.

The store's folder is named by the data, the label, the features and the code of these: it is made once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from research.bars import BarSource
from research.data_hash import data_hash
from research.examples import Examples
from research.features_hash import features_hash
from research.labels.port import Label
from research.labels.rows import FeatureRows, examples_of_rows
from research.walkforward.rows import RowStore, keep_rows

#: What else decides the rows besides the kernels.
CODE = (("research.labels", ""), ("research", "uniqueness.py"), ("research", "feature_rows.py"))
Told = Callable[[int, int], None]  # sessions done, of how many


def rows_of(
    home: Path,
    source: BarSource,
    label: Label,
    names: Sequence[str],
    all_names: Sequence[str],
    features_of: FeatureRows,
    told: Told,
) -> Path:
    """The folder of the store under `home`, made if it is not there. Memory holds one session.

    `features_of` gives columns `all_names`, of which `names` are kept.

    Raises:
        ModelError: no session has a labelled row.
    """
    folder = home / "rows" / _key(source, label, names)
    if RowStore.at(folder) is None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        keep_rows(folder, _examples(source, label, names, all_names, features_of, told))
    return folder


def _examples(
    source: BarSource,
    label: Label,
    names: Sequence[str],
    all_names: Sequence[str],
    features_of: FeatureRows,
    told: Told,
) -> Iterator[Examples]:
    columns = [all_names.index(name) for name in names]
    count = len(source.sessions)
    for done, (bars, x) in enumerate(features_of(source), start=1):
        found = examples_of_rows([(bars, x[:, :, columns])], names, label)
        told(done, count)
        if len(found):
            yield found


def _key(source: BarSource, label: Label, names: Sequence[str]) -> str:
    code = hashlib.sha256()
    for package, only in CODE:
        for entry in sorted(resources.files(package).iterdir(), key=lambda one: one.name):
            if entry.name.endswith(".py") and only in {"", entry.name}:
                code.update(entry.read_bytes())
    first, last = source.sessions[0], source.sessions[-1]
    told = [data_hash(source), f"{first} {last} {len(source.sessions)}", label.words, features_hash(names)]
    return hashlib.sha256(msgspec.json.encode([*told, code.hexdigest()])).hexdigest()[:16]
