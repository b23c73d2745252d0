"""pom.xml -> a folder of jars, with Maven and whatever mirror its settings name. Done once per version."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
INSTALL_HINT = "on Debian or Ubuntu: apt install openjdk-17-jre-headless maven; or set log.kind: sqlite"
JAVA_AT_LEAST = 17
DOWNLOAD_TIMEOUT_S = 600.0


class KafkaUnavailableError(RuntimeError):
    """Kafka cannot be started on this machine; one line that says why and what to do."""


def find_java() -> str:
    """Path of a Java of version 17 or later. Raises `KafkaUnavailableError`."""
    java = shutil.which("java")
    if java is None:
        raise KafkaUnavailableError(
            f"Apache Kafka needs Java {JAVA_AT_LEAST}, none is on the PATH; {INSTALL_HINT}"
        )
    shown = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    found = re.search(r'version "(\d+)', shown)
    if not found or int(found[1]) < JAVA_AT_LEAST:
        was = found[1] if found else "unknown"
        raise KafkaUnavailableError(
            f"Apache Kafka needs Java {JAVA_AT_LEAST}, {java} is version {was}; {INSTALL_HINT}"
        )
    return java


def provide_jars(folder: Path) -> Path:
    """The folder under `folder` with this pom's jars, downloaded on first use, whole or not at all.

    Raises:
        KafkaUnavailableError: Maven is missing, or the download failed.
    """
    wanted = folder / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if wanted.is_dir():
        return wanted
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError(
            f"Apache Kafka is fetched with Maven, mvn is not on the PATH; {INSTALL_HINT}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever else fetches them: once is enough
        if not wanted.is_dir():
            draft = wanted.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            _download(maven, draft)
            draft.rename(wanted)
    return wanted


def _download(maven: str, folder: Path) -> None:
    command = [
        maven,
        "-q",
        "-B",
        "-f",
        str(POM),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={folder}",
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise KafkaUnavailableError(
            f"Maven did not fetch Apache Kafka within {DOWNLOAD_TIMEOUT_S:.0f} s; check the network"
        ) from err
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
        why = lines[0] if lines else f"exit code {done.returncode}"
        raise KafkaUnavailableError(
            f"Maven could not fetch Apache Kafka ({why}); check the network or ~/.m2/settings.xml"
        )
