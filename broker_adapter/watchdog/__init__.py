"""The watchdog: flattens over its own connection when the decisions or the gateway do not speak."""
