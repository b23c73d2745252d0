"""A figure is a string: the same for the same input, and nothing in it looks outside or at the clock."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from research.plots import GOOD, axes, svg_of


def drawn() -> str:
    with axes(4, 2, ylabel="₹", title="made up") as (figure, ax):
        ax.plot([1, 2, 3], [3, 1, 2], color=GOOD)
        ax.fill_between([1, 2, 3], [3, 1, 2])
    return svg_of(figure, 'net of "charges"')


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert drawn() == drawn()


def test_a_figure_is_an_element_that_says_what_it_shows_and_loads_nothing() -> None:
    markup = drawn()
    element = ElementTree.fromstring(markup)
    assert element.attrib["aria-label"] == 'net of "charges"' and element.attrib["role"] == "img"
    assert "width" not in element.attrib and "viewBox" in element.attrib
    links = re.findall(r'(?:href|src)="([^"]*)"', markup)
    assert all(link.startswith("#") for link in links)
    assert "var(--good" in markup and "₹" in markup
    assert not re.search(r"\b20\d\d-\d\d-\d\d", markup)
