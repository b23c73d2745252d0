"""Every mutant still fits the code it breaks, and there are enough of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant
from mutations import mutated

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_one_place_of_todays_code_and_still_compiles(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    changed = mutated(mutant, text)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))


def test_there_are_at_least_twenty_each_with_a_story_of_its_own() -> None:
    assert len(MUTANTS) >= 20
    assert (
        len({mutant.name for mutant in MUTANTS}) == len({mutant.story for mutant in MUTANTS}) == len(MUTANTS)
    )
