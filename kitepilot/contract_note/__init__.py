"""The broker's contract note against our books: read it, say what it should say, name every difference."""
