"""The book of analysis: what dbt makes of the archive, and how it is run."""
