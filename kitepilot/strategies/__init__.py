"""Strategies turn features and scores into wishes. One strategy per file; a user's own load the same way."""
