"""The exact engine over bars: the real folds and strategies, session by session, fills out of bars."""
