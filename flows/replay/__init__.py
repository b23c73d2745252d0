"""A recorded day, computed again by the code of today and compared with its record, byte for byte."""

from flows.replay.comparison import Comparison, Difference
from flows.replay.decisions import verify_decisions
from flows.replay.market import ModelGoneError, market_of, verify_market
from flows.replay.recorded import RecordedRun, UnreadableRunError, open_recorded
from flows.replay.verdict import Verdict

__all__ = [
    "Comparison",
    "Difference",
    "ModelGoneError",
    "RecordedRun",
    "UnreadableRunError",
    "Verdict",
    "market_of",
    "open_recorded",
    "verify_decisions",
    "verify_market",
]
