"""Alerts outside the core: their file, the machine they look at, and the ways to people."""
