"""KitePilot: intraday trading on the Indian cash market, from tick to daily pack."""

__version__ = "0.1.0"
