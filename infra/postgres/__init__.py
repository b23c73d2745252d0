"""The book of record: an embedded PostgreSQL or a real one, its tables and its migrations."""
