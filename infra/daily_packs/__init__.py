"""A day's papers as one ZIP, each version of it kept: `<home>/packs/<date>/<run>-v1.zip`.

The same content gives the same bytes. What is made later and says something else is a further version with a
list of what changed; the earlier one stays.
"""

from infra.daily_packs.bundle import bundle
from infra.daily_packs.differences import Changes, differences
from infra.daily_packs.manifest import AuditRoot, FileEntry, MadeBy, Manifest, PackError, read_manifest
from infra.daily_packs.shelf import Pack, packs_of, path_of

__all__ = [
    "AuditRoot",
    "Changes",
    "FileEntry",
    "MadeBy",
    "Manifest",
    "Pack",
    "PackError",
    "bundle",
    "differences",
    "packs_of",
    "path_of",
    "read_manifest",
]
