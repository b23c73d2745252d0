"""Files of bars -> a dataset: partitioned by session, checked, with a manifest that says what it is."""
