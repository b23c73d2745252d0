"""Where the audit is kept: PostgreSQL, the seals beside it, exported files, the key."""
