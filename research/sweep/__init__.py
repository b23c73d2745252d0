"""Many parameter sets over the same sessions: a compiled desk, and how little the best of many says."""
