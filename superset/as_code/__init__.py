"""Dashboards as short YAML for people, and back: every noun here knows both of its forms.

`full` is what Superset imports and exports; `short` is what stands in the repository. A short form says only
what its author decided; `full(short)` fills in the rest and `short(full)` takes it away again.
"""
