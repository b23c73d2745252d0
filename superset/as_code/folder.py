"""The folder of short forms: one YAML file a dataset, chart and dashboard, always written the same way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KINDS = ("datasets", "charts", "dashboards")
WIDTH = 108
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
    """The one way a short form is written: a line a key, what fits a line on one line."""
    return "".join(_lines(short, 0))


def _lines(node: Any, depth: int) -> Iterator[str]:
    pad = "  " * depth
    items = node.items() if isinstance(node, dict) else ((None, value) for value in node)
    for key, value in items:
        lead = f"{pad}- " if key is None else f"{pad}{_scalar(key)}:"
        if isinstance(value, str) and "\n" in value:
            yield f"{lead} |-\n".replace("-  |", "- |")
            yield from (f"{pad}  {line}".rstrip() + "\n" for line in value.split("\n"))
            continue
        flow = _flow(value)
        if not isinstance(value, dict | list) or not value or _fits(value, lead, flow):
            yield f"{lead}{'' if key is None else ' '}{flow}\n"
        elif key is None:  # an item of a list: its first line carries the dash
            first, *rest = _lines(value, depth + 1)
            yield f"{pad}- {first.lstrip(' ')}"
            yield from rest
        else:
            yield f"{lead}\n"
            yield from _lines(value, depth + 1)


def _fits(value: Any, lead: str, flow: str) -> bool:
    """On one line: what is short enough and not nested more than one level."""
    inner = value.values() if isinstance(value, dict) else value
    nested = any(isinstance(v, dict | list) and v for v in inner)
    return len(lead) + len(flow) < WIDTH and not nested and "\n" not in flow


def _flow(value: Any) -> str:
    if isinstance(value, str):
        return _scalar(value)
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1_000_000
    )
    return text.strip().removesuffix("\n...")


def _scalar(value: Any) -> str:
    text: str = yaml.safe_dump(value, allow_unicode=True, width=1_000_000, default_flow_style=True)
    return text.strip().removesuffix("\n...")
