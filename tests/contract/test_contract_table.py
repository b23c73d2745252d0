"""The reference prints every case, and no other."""

from __future__ import annotations

from pathlib import Path

import test_contract_orders
import test_contract_reads
import test_contract_refusals
import test_contract_ticker
from cases import CASES, table

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/contract.md"
MODULES = (test_contract_orders, test_contract_reads, test_contract_refusals, test_contract_ticker)


def test_the_reference_has_the_table_of_cases() -> None:
    assert table() in PAGE.read_text(), "paste this into docs/reference/contract.md:\n" + table()
    assert len(CASES) == sum(name.startswith("test_") for module in MODULES for name in vars(module))
