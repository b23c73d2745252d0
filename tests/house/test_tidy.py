"""House rules a linter cannot state, read from the source tree itself."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from side_by_side import LONG, TOGETHER

ROOT = Path(__file__).resolve().parents[2]
CORE_EDGES = {"cli", "config.py", "run.py", "__main__.py"}
CLOCKS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("datetime", "now"),
    ("date", "today"),
}
RANDOM_MODULES = {"random", "uuid", "secrets"}
BANNED_NAMES = re.compile(r"(helper|util|manager|common|base|misc)s?\.py$")
MONEY_MODULES = ("orders/positions.py", "orders/charges.py")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def core_modules() -> list[Path]:
    return [
        path
        for path in tracked("kitepilot/*.py", "kitepilot/**/*.py")
        if path.relative_to(ROOT / "kitepilot").parts[0] not in CORE_EDGES
    ]


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", core_modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_core_never_asks_the_clock_the_environment_or_a_random_source(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not imported(tree) & RANDOM_MODULES
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in CLOCKS, f"{path}:{node.lineno}"
            assert (node.value.id, node.attr) not in {("os", "environ"), ("os", "getenv")}, (
                f"{path}:{node.lineno}"
            )


@pytest.mark.parametrize("name", MONEY_MODULES)
def test_money_never_passes_through_a_float(name: str) -> None:
    tree = ast.parse((ROOT / "kitepilot" / name).read_text())
    floats = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, float)]
    casts = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "float"]
    divisions = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div)]
    decimal_divisions = {"orders/charges.py": 2}.get(
        name, 0
    )  # Decimal / int and Decimal / Decimal: exact enough, named
    assert not floats
    assert not casts
    assert len(divisions) <= decimal_divisions


def test_no_module_is_named_after_a_missing_idea() -> None:
    assert [p for p in tracked("*.py") if BANNED_NAMES.search(p.name)] == []


def test_no_two_test_modules_have_one_name() -> None:
    """They are collected side by side, and the second would not be imported."""
    names = [path.name for path in tracked("tests/**/*.py") if path.name != "conftest.py"]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_the_long_files_that_are_begun_first_are_there() -> None:
    assert [unit for unit in (*LONG, *TOGETHER) if not (ROOT / unit).exists()] == []


def test_functions_fit_on_a_screen() -> None:
    long = []
    for path in tracked("*.py"):
        if "tests" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 2
                if lines > 70:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} ({lines})")
    assert long == []


def test_nothing_names_the_machine_it_was_written_on() -> None:
    traces = re.compile(r"(?<![\w./])/(?:home|root|Users|work|tmp)/\w+/|pythonhosted|registry\.npmjs")
    found = []
    for path in tracked():
        if path.suffix in {".png", ".lock", ".parquet"} or path == Path(__file__).resolve():
            continue
        if traces.search(path.read_text(errors="replace")):
            found.append(str(path.relative_to(ROOT)))
    assert found == []


def test_no_recorded_market_data_is_in_the_repository() -> None:
    """The stored days are of the synthetic market: `tests/replay/store_days.py` makes them."""
    data = tracked("*.parquet", "*.jsonl", "*.zst", "*.sqlite")
    assert [path for path in data if ROOT / "tests/replay/days" not in path.parents] == []


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = []
    for page in tracked("*.md"):
        targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
        broken += [
            f"{page.relative_to(ROOT)} -> {target}"
            for target in targets
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists()
        ]
    assert broken == []


def test_the_readme_has_exactly_the_two_commands() -> None:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert [block.strip() for block in blocks] == ["make paper", "make test"]


def test_every_target_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set()
    for page in tracked("*.md"):
        named |= set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.M))
    assert named - targets == set()
