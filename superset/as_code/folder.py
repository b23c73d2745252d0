"""The folder of short forms: one YAML file a dataset, chart and dashboard, always written the same way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KINDS = ("datasets", "charts", "dashboards")
WIDTH = 90
Short = dict[str, Any]


class AssetError(ValueError):
    """A file of the folder cannot be used; one line that says which, where and why."""


def read(folder: Path) -> dict[str, dict[str, Short]]:
    """Kind -> key (the file's name) -> short form.

    Raises:
        AssetError: not YAML, not a mapping, or two files of one kind have one name.
    """
    found: dict[str, dict[str, Short]] = {kind: {} for kind in KINDS}
    for kind in KINDS:
        for path in files(folder, kind):
            if path.stem in found[kind]:
                raise AssetError(f"{path}: another file of {kind} has that name; rename one of the two")
            try:
                content = yaml.safe_load(path.read_text())
            except yaml.YAMLError as err:
                raise AssetError(f"{path}: not YAML ({err})") from err
            if not isinstance(content, dict):
                raise AssetError(f"{path}: a mapping is expected, as in the files beside it")
            found[kind][path.stem] = content
    return found


def files(folder: Path, kind: str) -> Iterator[Path]:
    """The files of a kind, in any folder below it, in order of their names."""
    yield from sorted((folder / kind).rglob("*.yaml"))


def write(folder: Path, assets: dict[str, dict[str, Short]], *, check: bool = False) -> list[Path]:
    """Bring the folder to `assets`; returns the files that change (`check`: would change), removed ones too.

    A chart that is new is put beside the other charts of the first dashboard that shows it.
    """
    changed = []
    for kind in KINDS:
        present = {path.stem: path for path in files(folder, kind)}
        for key, short in assets[kind].items():
            path = present.pop(key, None) or folder / kind / _place(kind, key, assets) / f"{key}.yaml"
            text = rendered(short)
            if path.exists() and path.read_text() == text:
                continue
            changed.append(path)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        for path in present.values():
            changed.append(path)
            if not check:
                path.unlink()
    return changed


def _place(kind: str, key: str, assets: dict[str, dict[str, Short]]) -> str:
    if kind != "charts":
        return "."
    return next((d for d, short in sorted(assets["dashboards"].items()) if _shows(short, key)), ".")


def _shows(node: Any, chart: str) -> bool:
    if isinstance(node, dict):
        return node.get("chart") == chart or any(_shows(value, chart) for value in node.values())
    return isinstance(node, list) and any(_shows(value, chart) for value in node)


def rendered(short: Short) -> str:
    """The one way a short form is written: what fits a line on one line."""
    text: str = yaml.dump(short, Dumper=_Short, sort_keys=False, allow_unicode=True, width=10_000)
    return text


class _Short(yaml.SafeDumper):
    """PyYAML's, with lists set in and the choice of what goes on one line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.Node:
        node = super().represent_mapping(tag, mapping, flow_style)
        node.flow_style = _fits([part for pair in node.value for part in pair])
        return node

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.Node:
        node = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = _fits(node.value)
        return node


def _fits(parts: list[yaml.Node]) -> bool:
    """Short enough, and nothing but single values."""
    single = all(isinstance(part, yaml.ScalarNode) for part in parts)
    return single and sum(len(part.value) + 2 for part in parts) < WIDTH


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Short.add_representer(str, _text)
