"""Paise as people in India read them: lakh and crore grouping."""

from __future__ import annotations


def rupees(paise: int | float, decimals: int = 2) -> str:
    """`-12,34,567.80`: thousands, then groups of two digits. `decimals` 0 rounds to the rupee, half to even.

    >>> rupees(123456780), rupees(-99950, 0), rupees(-4), rupees(5, 0)
    ('12,34,567.80', '-1,000', '-0.04', '0')
    """
    text = f"{abs(paise) / 100:.{decimals}f}"
    whole, point, fraction = text.partition(".")
    head, tail = whole[:-3], whole[-3:]
    groups = []
    while head:
        groups.append(head[-2:])
        head = head[:-2]
    grouped = ",".join([*reversed(groups), tail])
    sign = "-" if paise < 0 and any(digit not in "0.," for digit in text) else ""
    return f"{sign}{grouped}{point}{fraction}"
