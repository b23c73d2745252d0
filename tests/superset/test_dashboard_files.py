"""The files of the dashboards, held to themselves and to the marts, without Superset."""

from __future__ import annotations

import re
import runpy
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from as_code import bundle, datasets, folder
from as_code.units import label_of
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.cli.pack import marts

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "superset" / "assets"
ASSETS = folder.read(FOLDER)
MODELS = datasets.models(ROOT / "dbt_project" / "models")
FULL = bundle.full(ASSETS, MODELS, "kitepilot")
MEASURES_OF = {"metric", "metrics", "metrics_b", "secondary_metric", "size", "x_axis_sort"}
COLUMNS_OF = {
    "x_axis",
    "groupby",
    "groupby_b",
    "all_columns",
    "series",
    "entity",
    "columns",
    "groupbyRows",
    "groupbyColumns",
}

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | words | st.floats(allow_nan=False)
nodes = st.recursive(
    scalars, lambda n: st.lists(n, max_size=4) | st.dictionaries(words, n, max_size=4), max_leaves=12
)


@given(st.dictionaries(words, nodes, max_size=5))
def test_what_is_written_is_read_back(short: dict[str, Any]) -> None:
    assert (yaml.safe_load(folder.rendered(short)) or {}) == short


@given(st.lists(st.text("abc \n:-#'\"", max_size=30), max_size=3))
def test_words_of_several_lines_are_read_back(texts: list[str]) -> None:
    short = {"rows": [[{"text": text}] for text in texts]}
    assert yaml.safe_load(folder.rendered(short)) == short


def test_the_files_stand_as_an_export_would_write_them() -> None:
    """Superset's form and back again is the same file: an export touches only what was changed."""
    assert folder.write(FOLDER, bundle.shortened(FULL, ASSETS), check=True) == []


def test_every_dataset_is_a_mart_with_a_described_column_list() -> None:
    for path, content in FULL.items():
        if path.startswith("datasets/"):
            assert content["columns"], path
            assert [c["column_name"] for c in content["columns"] if not c["description"]] == [], path


def test_every_measure_names_columns_of_its_mart() -> None:
    functions = {
        "sum",
        "max",
        "min",
        "count",
        "avg",
        "uniqExact",
        "sumIf",
        "countIf",
        "argMax",
        "anyLast",
        "if",
        "isNotNull",
    }
    for path, content in FULL.items():
        if path.startswith("datasets/"):
            columns = {column["column_name"] for column in content["columns"]}
            for measure in content["metrics"]:
                named = set(re.findall(r"[a-zA-Z_]\w*", re.sub(r"'[^']*'", "", measure["expression"])))
                assert named - functions <= columns, (path, measure["metric_name"])


@pytest.mark.parametrize("key", sorted(ASSETS["charts"]))
def test_a_chart_shows_columns_and_measures_that_its_mart_has(key: str) -> None:
    short = ASSETS["charts"][key]
    dataset = FULL[f"datasets/ClickHouse/{short['dataset']}.yaml"]
    columns = {column["column_name"] for column in dataset["columns"]}
    measures = {measure["metric_name"] for measure in dataset["metrics"]}
    for word, value in short.get("params", {}).items():
        named = {name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str)}
        if word in MEASURES_OF:
            assert named <= measures | columns, word
        elif word in COLUMNS_OF:
            assert named <= columns, word


@pytest.mark.parametrize("key", sorted(ASSETS["dashboards"]))
def test_a_filter_reaches_a_column_of_its_mart(key: str) -> None:
    for said in ASSETS["dashboards"][key].get("filters", []):
        if "dataset" in said:
            dataset = FULL[f"datasets/ClickHouse/{said['dataset']}.yaml"]
            assert said["column"] in {column["column_name"] for column in dataset["columns"]}, said["name"]


def test_the_book_knows_which_marts_a_dashboard_and_the_pack_rest_on() -> None:
    """What `kitepilot analytics docs` draws below a mart is who reads it: all of them, and nobody else."""
    listed = yaml.safe_load((ROOT / "dbt_project" / "models" / "exposures.yml").read_text())["exposures"]
    known = {each["name"]: set(re.findall(r"'(\w+)'", " ".join(each["depends_on"]))) for each in listed}
    read = {"daily_pack": set(marts.READ)}
    for key, dashboard in ASSETS["dashboards"].items():
        shown = re.findall(r"chart: (\w+)", yaml.safe_dump(dashboard))
        asked = {said["dataset"] for said in dashboard.get("filters", []) if "dataset" in said}
        read[key.replace("-", "_")] = asked | {ASSETS["charts"][chart]["dataset"] for chart in shown}
    assert known == read


def test_no_chart_stands_in_the_folder_unseen() -> None:
    shown = yaml.safe_dump(ASSETS["dashboards"])
    assert [key for key in ASSETS["charts"] if f"chart: {key}\n" not in shown] == []


def test_an_id_of_this_or_any_installation_stands_in_no_file() -> None:
    ids = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|slice_id|chartId|datasourceId|filterOptionName|query_context")
    assert [
        path for kind in folder.KINDS for path in folder.files(FOLDER, kind) if ids.search(path.read_text())
    ] == []


def test_a_dataset_hands_over_the_wall_clock_of_india_under_the_names_of_the_mart() -> None:
    model = {
        "name": "fct_x",
        "description": "",
        "columns": [
            {"name": name, "data_type": "DateTime64(3)", "description": "d"}
            for name in ("at", "seen_at", "seen_at_ist")
        ],
    }
    full = datasets.full("fct_x", {}, model, "raw")
    assert [column["column_name"] for column in full["columns"]] == ["at", "seen_at_ist"]
    assert "addMinutes(toTimeZone(seen_at_ist, 'UTC'), 330) as seen_at_ist" in full["sql"]
    assert full["sql"].endswith("from raw_marts.fct_x")


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("net_pnl_rupees", "Net P&L (₹)"),
        ("decided_at_ist", "Decided (IST)"),
        ("run_id", "Run"),
        ("slippage_arrival_bps", "Slippage arrival (bps)"),
        ("tradingsymbol", "Instrument"),
    ],
)
def test_a_label_says_what_a_column_is_and_in_what(column: str, label: str) -> None:
    assert label_of(column) == label


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("datasets", "time: x\n", "no model wrong"),
        ("charts", "name: x\nviz: table\n", "`dataset` is missing"),
        ("charts", "name: x\nviz: table\ndataset: nowhere\n", "no dataset 'nowhere'"),
        ("dashboards", "title: x\nrows: [[{chart: nowhere}]]\n", "no chart 'nowhere'"),
        ("dashboards", "title: x\nrows: [[{picture: x}]]\n", "not an item of a row"),
        ("dashboards", "title: x\nfilters: [{name: A, kind: map}]\nrows: []\n", "no kind 'map'"),
        ("charts", "- a list\n", "a mapping is expected"),
        ("charts", "{", "not YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(
    kind: str, content: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / kind).mkdir()
    (tmp_path / kind / "wrong.yaml").write_text(content)
    with pytest.raises(folder.AssetError, match=re.escape(said)) as caught:
        bundle.full(folder.read(tmp_path), MODELS, "kitepilot")
    assert "wrong.yaml" in str(caught.value)


def test_the_settings_draw_a_key_once_and_let_pages_ask_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERSET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SUPERSET_SECRET_KEY", raising=False)
    first, second = (runpy.run_path(str(ROOT / "superset" / "superset_config.py")) for _ in range(2))
    assert first["SECRET_KEY"] == second["SECRET_KEY"]
    assert len(first["SECRET_KEY"]) >= 42
    assert stat.S_IMODE((tmp_path / "home" / "secret_key").stat().st_mode) == 0o600
    policy = first["TALISMAN_CONFIG"]["content_security_policy"]
    allowed = {
        source
        for sources in policy.values()
        for source in ([sources] if isinstance(sources, str) else sources)
    }
    assert allowed <= {"'self'", "'none'", "blob:", "data:", "'unsafe-inline'", "'strict-dynamic'"}


def test_the_image_is_made_of_the_same_lock_settings_bootstrap_and_assets() -> None:
    image = (ROOT / "infra" / "images" / "superset.Dockerfile").read_text()
    assert "--require-hashes -r /tmp/requirements.lock" in image
    assert "COPY superset /app/superset" in image
    assert "COPY dbt_project/models /app/dbt_project/models" in image
    assert "SUPERSET_CONFIG_PATH=/app/superset/superset_config.py" in image
    assert "python /app/superset/bootstrap.py && exec gunicorn" in image
    assert "python /app/superset/remove_telemetry.py" in image
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["superset"]["environment"]
    asked = re.findall(r'os\.environ\["(\w+)"\]', (ROOT / "superset" / "bootstrap.py").read_text())
    assert set(asked) - {"SUPERSET_HOME"} <= set(compose)
