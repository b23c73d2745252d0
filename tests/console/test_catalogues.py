"""Every word of the console stands in every language, and every word that is asked for stands at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import Environment

import api.console
from api.console.assets import FOLDER
from api.console.catalogue import FIRST, LANGUAGES, catalogue, chosen, speaker
from api.identity import Role
from kitepilot.alerts.kinds import BY_NAME, Severity
from kitepilot.events import OrderStatus, Purpose, Side, TradingState
from kitepilot.models.gates import GATES, name_of
from kitepilot.models.stages import Move, Stage
from kitepilot.risk import limit_use
from kitepilot.risk.checks.denials import Denial

TEMPLATES = Path(api.console.__file__).parent / "templates"
FIELD = re.compile(r"\{(\w+)\}")
# t("key") and t('key'), with or without values; a key that is put together is checked by its family below
ASKED = re.compile(r"""\bt\(\s*["']([\w.-]+)["']\s*[,)]""")


def asked_for() -> set[str]:
    sources = [*TEMPLATES.glob("*.html"), *FOLDER.glob("*.js")]
    found = {key for path in sources for key in ASKED.findall(path.read_text())}
    assert len(found) > 100, "the pattern finds nothing any more"
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_a_page_says_stands_in_the_catalogue(language: str) -> None:
    assert asked_for() <= catalogue(language).keys()


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_another_language_says_everything_with_the_same_figures(language: str) -> None:
    first, other = catalogue(FIRST), catalogue(language)
    assert other.keys() == first.keys()
    for key, text in first.items():
        assert set(FIELD.findall(other[key])) == set(FIELD.findall(text)), key
        assert other[key].strip(), key


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("denial", Denial),
        ("state", TradingState),
        ("state_means", TradingState),
        ("status", OrderStatus),
        ("purpose", Purpose),
        ("side", Side),
        ("role", Role),
        ("stage", Stage),
        ("move", Move),
        ("gate", [name_of(gate) for gates in GATES.values() for gate in gates]),
        ("severity", Severity),
        ("alert", list(BY_NAME)),
        ("to_do", list(BY_NAME)),
    ],
)
def test_every_word_of_the_desk_is_told_in_words(language: str, family: str, words: list[str]) -> None:
    assert {f"{family}.{each}" for each in words} <= catalogue(language).keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_gauge_has_a_name(language: str) -> None:
    source = Path(limit_use.__file__).read_text()
    names = set(re.findall(r'^        \("(\w+)", ', source, re.M))
    assert len(names) == 12
    assert {f"limit.{name}" for name in names} <= catalogue(language).keys()


def test_templates_carry_no_words_of_their_own() -> None:
    """What is left of a template without its marks, tags and markup is punctuation and proper names."""
    proper = re.compile(r"KitePilot|TradingView|Lightweight|Charts™|Inc|IST|tradingview\.com|[HF]")
    for path in TEMPLATES.glob("*.html"):
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", path.read_text(), flags=re.S)
        text = proper.sub("", re.sub(r"<[^>]*>", " ", text, flags=re.S))
        assert not re.findall(r"[A-Za-z]{2,}", text), path.name


def test_templates_ask_for_no_script_or_style_that_the_policy_refuses() -> None:
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text()
        assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", text), path.name
        for script in re.findall(r"<script[^>]*>", text):
            assert "src=" in script, path.name
        Environment().parse(text)


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "", "en-IN"),
        ("", "hi;q=0.9", "hi-IN"),
        ("", "de-DE,de;q=0.9,en;q=0.5", "en-IN"),
        ("hi-IN", "en-IN", "hi-IN"),
        ("../../etc/passwd", "hi-IN,hi", "hi-IN"),
    ],
)
def test_the_readers_choice_counts_then_the_browsers(cookie: str, accepted: str, language: str) -> None:
    assert chosen(cookie, accepted) == language


def test_a_text_is_filled_in() -> None:
    assert speaker("en-IN")("frame.signed_in", name="a@b", role="owner") == "a@b, owner"
