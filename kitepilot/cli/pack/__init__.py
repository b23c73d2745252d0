"""A day's papers: gathered, checked, drawn and zipped. `making.make` is the way in."""
