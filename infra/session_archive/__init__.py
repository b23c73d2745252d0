"""Every record of a finished run as files: kept past the log's retention, byte for byte.

    <home>/sessions/<session date>/<run id>/  card.json, config.yaml, <topic>.parquet ...
    <home>/sessions/models/<model id>/        the artifacts that scored those days

Parquet, so that any tool can look in; checksums by page, one hash per topic over all its values, and the
offsets that are missing, by name.
"""

from infra.session_archive.card import Card, TopicCard, read_card
from infra.session_archive.files import ArchivedLog
from infra.session_archive.keeping import keep, kept_folders, sessions_folder

__all__ = ["ArchivedLog", "Card", "TopicCard", "keep", "kept_folders", "read_card", "sessions_folder"]
