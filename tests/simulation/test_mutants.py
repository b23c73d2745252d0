"""Every mutant still fits the code it breaks, and there are enough of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant
from mutations import judge, mutate, noted

ROOT = Path(__file__).resolve().parents[2]
IN_CI = 4


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_places_of_todays_code_and_still_compiles(mutant: Mutant) -> None:
    for path, changed in mutate(mutant, ROOT).items():
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(path.read_text()))


def test_there_are_at_least_twenty_each_with_a_story_of_its_own() -> None:
    assert len(MUTANTS) >= 20
    assert (
        len({mutant.name for mutant in MUTANTS}) == len({mutant.story for mutant in MUTANTS}) == len(MUTANTS)
    )


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS[::IN_CI], ids=lambda mutant: mutant.name)
def test_a_bug_that_a_real_system_had_breaks_an_invariant(mutant: Mutant) -> None:
    """Every so-many-th here; `make mutations` plays them all."""
    seed = noted()[mutant.name]
    verdict = judge(mutant, f"{seed}:{seed + 1}")
    assert verdict.caught, f"{mutant.name} survives seed {seed}: make mutations ONLY={mutant.name} NOTE=1"


def test_every_mutant_has_been_caught() -> None:
    assert {mutant.name for mutant in MUTANTS} == set(noted())
