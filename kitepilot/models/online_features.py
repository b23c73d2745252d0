"""What the online model sees: the second features, which are warm five minutes into the day."""

from __future__ import annotations

from kitepilot.kernels.shard import FEATURE_NAMES, SECOND_NAMES

ONLINE_FEATURES = SECOND_NAMES
ONLINE_COLUMNS = tuple(FEATURE_NAMES.index(name) for name in ONLINE_FEATURES)
