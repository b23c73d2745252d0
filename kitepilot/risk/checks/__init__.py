"""The risk checks on an entry, one function each, by what they look at; `table` has them in their order.

Every check runs on every proposed entry, so that a verdict shows all the numbers; the first that fails is the
denial. A check passes when `observed <= limit` unless its text says otherwise. Numbers in a `Check` are for
people and reports: decisions are made on the integers before.
"""

from kitepilot.risk.checks.denials import Denial as Denial
from kitepilot.risk.checks.proposal import NS_PER_S as NS_PER_S
from kitepilot.risk.checks.proposal import EntryCheck as EntryCheck
from kitepilot.risk.checks.proposal import Proposal as Proposal
from kitepilot.risk.checks.proposal import compared as compared
from kitepilot.risk.checks.table import ENTRY_CHECKS as ENTRY_CHECKS
from kitepilot.risk.checks.table import first_denial as first_denial
from kitepilot.risk.checks.table import judge as judge
