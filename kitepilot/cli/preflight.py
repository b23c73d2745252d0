"""Can this machine run KitePilot now? Each question has one clear answer and one remedy."""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kitepilot.config import Config

FREE_BYTES = 3 * 1024**3
PACKAGES = (
    "bytewax",
    "chdb",
    "clickhouse_connect",
    "confluent_kafka",
    "kiteconnect",
    "lightgbm",
    "litestar",
    "numba",
    "psycopg",
    "pyarrow",
    "river",
    "sqlalchemy",
    "supervisor",
    "websockets",
)


@dataclass(frozen=True)
class Finding:
    """One check. `remedy` is empty when all is well."""

    check: str
    ok: bool
    detail: str
    remedy: str = ""


def findings(config: Config, home: Path) -> Iterator[Finding]:
    """All checks, in the order a person would look at them."""
    yield _python()
    yield _platform()
    yield _packages()
    if config.models.offline:
        yield _openmp()
    yield _disk(home)
    yield _writable(home)
    for name, host, port in _ports(config):
        yield _port(name, host, port, home)
    yield _seals(config, home)
    if config.log.kind == "kafka":
        yield _java()


def analysis() -> Finding:
    """Whether the book of analysis can be built. Trading does not wait for it."""
    from infra.analytics.dbt import dbt_program

    program = dbt_program()
    if program is None:
        return Finding("analysis", False, "dbt is not installed in .venv-dbt", "run `make bootstrap`")
    return Finding("analysis", True, f"dbt: {program}")


def _python() -> Finding:
    version = platform.python_version()
    ok = sys.version_info[:2] == (3, 11)
    return Finding("python", ok, version, "" if ok else "install Python 3.11 and run `make bootstrap`")


def _platform() -> Finding:
    name = f"{platform.system()} {platform.machine()}"
    tested = name == "Linux x86_64"
    return Finding("platform", True, name if tested else f"{name} (untested)")


def _packages() -> Finding:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return Finding("packages", False, f"missing: {', '.join(missing)}", "run `make bootstrap`")
    return Finding("packages", True, f"{len(PACKAGES)} found")


def _openmp() -> Finding:
    try:
        ctypes.CDLL("libgomp.so.1" if sys.platform == "linux" else "libomp.dylib")
    except OSError as err:
        remedy = "start through `make`, or apt-get install libgomp1 (macOS: brew install libomp)"
        return Finding("openmp", False, f"LightGBM's runtime is missing: {err}", remedy)
    return Finding("openmp", True, "found")


def _disk(home: Path) -> Finding:
    place = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / 1024**3:.1f} GiB free at {place}"
    if free < FREE_BYTES:
        remedy = f"free {FREE_BYTES // 1024**3} GiB there, or set $KITEPILOT_HOME to a larger disk"
        return Finding("disk", False, detail, remedy)
    return Finding("disk", True, detail)


def _writable(home: Path) -> Finding:
    probe = home / ".writable"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.write_text("yes")
        probe.unlink()
    except OSError as err:
        return Finding("home", False, f"{home}: {err.strerror}", "set $KITEPILOT_HOME to a folder you own")
    return Finding("home", True, str(home))


def _ports(config: Config) -> Iterator[tuple[str, str, int]]:
    yield "api", config.api.host, config.api.port
    urls = [("clickhouse", config.storage.clickhouse_url)]
    if config.mode == "paper":
        urls += [
            ("sandbox REST", config.broker.rest_url),
            ("sandbox ticker", config.broker.ticker_url),
            ("sandbox admin", config.broker.admin_url),
        ]
    if config.log.kind == "kafka":
        urls.append(("kafka", f"kafka://{config.log.bootstrap_servers}"))
    for name, url in urls:
        parts = urlsplit(url)
        if parts.hostname in ("127.0.0.1", "localhost") and parts.port:
            yield name, parts.hostname, parts.port


def _port(name: str, host: str, port: int, home: Path) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as err:
            from infra.dashboards import running

            remedy = f"stop what listens there (`ss -ltnp | grep {port}`) or choose another port for {name}"
            if name == "clickhouse" and running(home):
                remedy = "the dashboards hold it: `kitepilot dashboards down`"
            return Finding(f"port {port}", False, f"{name}: {err.strerror}", remedy)
    return Finding(f"port {port}", True, f"{name}: free")


def _seals(config: Config, home: Path) -> Finding:
    """The last seal that lies in the home, and live the key for the next one."""
    from infra.audit.seal_key import open_key
    from infra.audit.sealing import SealFileError, read_files
    from infra.key_urls import SecretError

    try:
        newest = max(
            (seal.read() for seal in read_files(home).values()), key=lambda s: s.number, default=None
        )
        if config.mode == "live":
            open_key(config, home)
    except SealFileError as err:
        return Finding("audit", False, str(err), "run `kitepilot verify-audit`")
    except SecretError as err:
        return Finding("audit", False, str(err), "run `kitepilot audit key --make`")
    if newest is None:
        return Finding("audit", True, "no seal yet")
    return Finding("audit", True, f"last seal {newest.number} of {newest.session_date}, {newest.run_id}")


def _java() -> Finding:
    java, maven = shutil.which("java"), shutil.which("mvn")
    if java and maven:
        return Finding("java", True, f"{java}, {maven}")
    lacking = " and ".join(n for n, p in (("java", java), ("mvn", maven)) if not p)
    remedy = "apt-get install openjdk-17-jre-headless maven, or use the default log (`LOG=sqlite`)"
    return Finding("java", False, f"{lacking} not found", remedy)
