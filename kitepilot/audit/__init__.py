"""The audit: what was said and done, as a chain of records that cannot be changed without being noticed."""
