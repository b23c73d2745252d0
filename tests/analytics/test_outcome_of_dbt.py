"""What dbt leaves behind becomes something a person can act on."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.analytics.book import BookError
from infra.analytics.dbt import Days
from infra.analytics.outcome import meaning, outcome_of
from infra.analytics.pages import self_contained

MART = {
    "name": "fct_fills",
    "resource_type": "model",
    "schema": "kitepilot_marts",
    "alias": "fct_fills",
    "fqn": ["kitepilot", "marts", "execution", "fct_fills"],
    "config": {"materialized": "incremental"},
}
UNIQUE = {
    "name": "unique_combination_fct_fills",
    "resource_type": "test",
    "description": "",
    "attached_node": "model.kitepilot.fct_fills",
    "compiled_path": "target/compiled/kitepilot/t.sql",
    "test_metadata": {"name": "unique_combination", "kwargs": {"columns": ["run_id", "trade_id"]}},
}


def left_behind(folder: Path, tags: tuple[str, ...] = (), **status: str) -> Path:
    """A target folder in which the mart and its test ended so."""
    nodes: dict[str, Any] = {"model.fct_fills": MART, "test.unique": UNIQUE | {"tags": tags}}
    results = [
        {
            "unique_id": f"{kind}.{name}",
            "status": said,
            "execution_time": 0.5,
            "message": "m\nn",
            "failures": 3,
        }
        for kind, name, said in (("model", "fct_fills", status["mart"]), ("test", "unique", status["test"]))
    ]
    (folder / "manifest.json").write_text(json.dumps({"nodes": nodes, "sources": {}, "unit_tests": {}}))
    (folder / "run_results.json").write_text(json.dumps({"results": results, "elapsed_time": 2.5}))
    return folder


@pytest.mark.parametrize("said", ["fail", "warn"])
def test_a_failing_test_is_told_by_what_it_means_and_where_its_query_is(said: str, tmp_path: Path) -> None:
    """Though dbt is only warned by it, so that it makes what rests on the mart."""
    outcome = outcome_of(left_behind(tmp_path, mart="success", test=said), "run_results.json")
    assert not outcome.ok
    [failed] = outcome.failures
    assert failed.meaning == "run_id and trade_id of fct_fills stand there more than once"
    assert (failed.rows, failed.message) == (3, "m n")
    assert failed.sql == str(tmp_path / "compiled/kitepilot/t.sql")
    assert outcome.as_json()["failed_tests"][0]["name"] == failed.name


def test_a_test_that_could_not_run_is_not_one_that_failed_but_its_mart_is(tmp_path: Path) -> None:
    outcome = outcome_of(left_behind(tmp_path, mart="error", test="skipped"), "run_results.json")
    assert not outcome.ok
    assert outcome.failures == ()
    assert [made.name for made in outcome.made if made.failed] == ["fct_fills"]


def test_a_finding_breaks_nothing_and_is_told(tmp_path: Path) -> None:
    left = left_behind(tmp_path, ("finding",), mart="success", test="warn")
    outcome = outcome_of(left, "run_results.json")
    assert outcome.ok
    assert [warned["status"] for warned in outcome.as_json()["warnings"]] == ["warn"]


def test_a_tests_own_words_come_before_those_of_its_kind() -> None:
    assert meaning(UNIQUE | {"description": "a fill is told once"}) == "a fill is told once"
    assert "example" in meaning({"resource_type": "unit_test", "model": "fct_fills"})


def test_days_are_named_in_one_way_only() -> None:
    with pytest.raises(BookError):
        Days(on=date(2026, 11, 20), full_refresh=True)


def test_the_page_of_the_book_may_ask_nobody() -> None:
    page = self_contained('<html><head><meta charset="utf-8"><title>x</title></head></html>')
    assert "Content-Security-Policy" in page
    assert "default-src 'none'" in page
    with pytest.raises(ValueError, match="changed"):
        self_contained("<html></html>")
