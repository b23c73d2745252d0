"""The checks by name, each with what it asks and why that matters to money."""

from __future__ import annotations

from typing import NamedTuple


class Check(NamedTuple):
    """`asks` is the question a check answers, `why` what a failure does to the owner."""

    asks: str
    why: str


CHECKS: dict[str, Check] = {
    "truncation": Check(
        "is the value at a minute the same when the day ends there?",
        "live the later bars are not there: what was learned from is not what will be seen",
    ),
    "future_shuffle": Check(
        "does a value stay when every bar after it is changed?",
        "a backtest that knows a later bar earns money that live trading cannot",
    ),
    "later_sessions": Check(
        "does a session keep its values when later sessions are dropped or changed?",
        "a figure over all sessions tells Monday what Friday was like",
    ),
    "warm_up": Check(
        "is there no value before the stated warm-up, and none that depends on more history than stated?",
        "after a restart live starts with less history than the backtest had, and trades on other values",
    ),
    "session_boundary": Check(
        "does a session's value depend on its own bars, unless it says that it carries earlier ones over?",
        "an overnight gap read as a one-minute move is a signal that cannot be traded",
    ),
    "repeatable": Check(
        "does the same input give the same values, and stay as it was?",
        "a function that remembers earlier calls has seen the test data when the backtest asks it",
    ),
    "cross_section": Check(
        "does every instrument keep its values when the list is in another order?",
        "values that run over from one instrument into the next carry a later minute into an earlier one",
    ),
    "hidden_input": Check(
        "does the value come from the bars it is given?",
        "a table looked up on the side holds the whole history, the future included",
    ),
    "target_in_feature": Check(
        "does the feature know the label better than the past can tell?",
        "a column that holds its own answer makes every model brilliant until the first live day",
    ),
    "label_span": Check(
        "does a label end where it says, later than its decision, in its own session?",
        "purging by a span that is too short leaves the answers of the test in the training rows",
    ),
    "purge": Check(
        "does no training label look into the test, and is the embargo kept?",
        "rows that share minutes with the test have learned its answers",
    ),
    "fold_order": Check(
        "does walk-forward train on rows decided before the test alone?",
        "a model that trained on next month cannot be had this month",
    ),
    "duplicate_rows": Check(
        "is no test row, under this or another time, among the training rows?",
        "a model recalls what it was shown: the out-of-sample figure is in-sample",
    ),
    "normalisation": Check(
        "was no column scaled by its mean and deviation over test rows?",
        "the scale tells in January how wild March will be",
    ),
    "pipeline": Check(
        "do scores stay when every later row and every answer not yet known is changed?",
        "whatever is fitted outside the fold, a scaler, a choice of features, an encoding, has seen the test",
    ),
    "bar_label": Check(
        "do the minutes lie in the session, and move together with the market?",
        "a bar labelled by its start gives its close a minute before it was there",
    ),
    "resampled": Check(
        "is every minute its own, not a longer bar repeated?",
        "a five-minute bar shown in its first minute holds the next four",
    ),
    "adjustment": Check(
        "do prices show the split on its day, as they did when it was not known?",
        "prices divided by a later split tell the level, the tick size and the split itself in advance",
    ),
    "survivorship": Check(
        "is each session's list of instruments the one that was known before it?",
        "trading the names that are still there leaves out the losses of those that are not",
    ),
}
