"""The one thing that can be wrong with a kernel's snapshot."""


class SnapshotError(ValueError):
    """The blob is not a snapshot this shard can go on from."""
