"""One cluster on disk: where its files are, and making it for the first time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.postgres.binaries import Binaries, Identity, PostgresError

USER = "kitepilot"
PORT = 5432  # only part of the socket's file name: no TCP
SOCKET_PATH_LIMIT = 107  # bytes of sun_path without its final zero (unix(7))


@dataclass(frozen=True)
class Places:
    """The files of one embedded server."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def password(self) -> Path:
        return self.root / "password"

    @property
    def log(self) -> Path:
        return self.root / "server.log"

    @property
    def socket(self) -> Path:
        near = self.root / "socket"
        if len(os.fsencode(near / f".s.PGSQL.{PORT}.lock")) <= SOCKET_PATH_LIMIT:
            return near
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"kitepilot-{name}"


def data_major(data: Path) -> int | None:
    """Major version that made the data folder; None if there is none yet."""
    version = data / "PG_VERSION"
    return int(version.read_text().strip()) if version.exists() else None


def prepare(places: Places, who: Identity, binaries: Binaries) -> None:
    """Folders, password and, on first use, the cluster itself. Raises `PostgresError`."""
    if who.changes_user:
        places.root.chmod(0o711)
    _private_folder(places.socket, who)
    if not places.password.exists():
        _write_private(places.password, secrets.token_urlsafe(24))
    if not (places.data / "PG_VERSION").exists():
        _initdb(places, who, binaries)


def _private_folder(folder: Path, who: Identity) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    held = folder.lstat()
    if held.st_uid not in (who.uid, os.geteuid()) or folder.is_symlink():
        raise PostgresError(
            f"{folder} belongs to user {held.st_uid}, not to us: remove it or use another home"
        )
    if who.changes_user:
        os.chown(folder, who.uid, who.gid)
    folder.chmod(0o700)


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


@contextlib.contextmanager
def _password_file(places: Places, who: Identity) -> Iterator[Path]:
    """The password where PostgreSQL's user may read it, for as long as initdb needs it."""
    copy = places.socket / "initdb-password"
    _write_private(copy, places.password.read_text())
    try:
        if who.changes_user:
            os.chown(copy, who.uid, who.gid)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _initdb(places: Places, who: Identity, binaries: Binaries) -> None:
    """Make the cluster aside and rename it: a kill in the middle leaves nothing that looks finished."""
    making = places.root / "data.new"
    if making.exists():
        shutil.rmtree(making)
    making.mkdir(mode=0o700)
    if who.changes_user:
        os.chown(making, who.uid, who.gid)
    with _password_file(places, who) as password:
        words = [binaries.path("initdb"), "-D", str(making), "-U", USER, "--pwfile", str(password)]
        words += [
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--data-checksums",
            "--no-sync",
        ]
        done = subprocess.run(
            who.command(words),
            capture_output=True,
            text=True,
            timeout=120,
            cwd="/",
            env=environment(),
            check=False,
        )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise PostgresError(
            f"initdb failed in {making}: {said.splitlines()[-1] if said else done.returncode}; "
            "is the disk full or the folder unreachable for the database's user?"
        )
    making.rename(places.data)


def environment() -> dict[str, str]:
    """What PostgreSQL's programs may see of ours: no secrets, no locale surprises."""
    kept = {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
