"""Labels over bars: what would have come of acting at a bar's close, and until when that was open.

    examples_of_rows(features_of(source), FEATURE_NAMES, FixedHorizon(5, ChargedCost())) -> Examples

`port` says what a label is; `fixed_horizon`, `triple_barrier` and `meta_label` are three; `cost` is what a
round trip costs; `rows` turns labelled sessions into examples.
"""

from research.labels.cost import ChargedCost, Cost, FlatCost
from research.labels.fixed_horizon import FixedHorizon
from research.labels.meta_label import MetaLabel
from research.labels.port import Label, Labelled
from research.labels.triple_barrier import TripleBarrier

__all__ = [
    "ChargedCost",
    "Cost",
    "FixedHorizon",
    "FlatCost",
    "Label",
    "Labelled",
    "MetaLabel",
    "TripleBarrier",
]
