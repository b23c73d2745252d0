"""The leak gate: does a feature, a label, a split or a pipeline know what nobody knew at the time?

What is put on trial is only called, never read: it is run again on bars that were cut, changed, moved or
made up, and what may not change is compared. `gate` runs the checks; `report` is what they say.
"""
