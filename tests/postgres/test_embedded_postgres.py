"""The embedded server: first start, restart, crashes, privacy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from infra.postgres import binaries
from infra.postgres.cluster import SOCKET_PATH_LIMIT, Places
from infra.postgres.embedded import PostgresError, Server, database_url, main, server_url
from kitepilot import config as configuration
from kitepilot.run import RUN_FOLDER_VARIABLE, Run

pytestmark = pytest.mark.stack


def run_in(home: Path) -> Run:
    run = Run("paper-20261120-0001", home / "runs" / "paper-20261120-0001", configuration.Config())
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "config.yaml").write_text(configuration.dump(run.config))
    return run


def scalar(url: str, query: str) -> object:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        return connection.execute(sa.text(query)).scalar()


def write_row(url: str, run_id: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO runs (run_id, mode, session_date, seed, feed, config_hash, config, code_version)"
                " VALUES (:id, 'paper', '2026-11-20', 1, '', 'h', '', '0')"
            ),
            {"id": run_id},
        )


def await_true(condition: object, timeout_s: float = 20.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.02)


def test_the_book_survives_a_restart_and_a_kill_of_the_server(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        write_row(server.url, "before-restart")
    with Server(tmp_path) as server:
        write_row(server.url, "before-kill")
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait(10) is not None
    with Server(tmp_path) as server:
        assert scalar(server.url, "SELECT count(*) FROM runs") == 2


def test_it_listens_on_no_tcp_port_and_asks_for_the_password(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        assert scalar(server.url, "SHOW listen_addresses") == ""
        wrong = sa.make_url(server.url).set(password="guess")
        with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
            scalar(wrong.render_as_string(hide_password=False), "SELECT 1")
    places = Places(tmp_path / "postgres")
    assert places.password.stat().st_mode & 0o777 == 0o600
    assert places.data.stat().st_mode & 0o777 == 0o700


def test_a_home_whose_path_is_too_long_for_a_socket_still_works(tmp_path: Path) -> None:
    home = tmp_path / ("deep-" * 12) / ("deeper-" * 10)
    with Server(home) as server:
        assert scalar(server.url, "SELECT 1") == 1
        socket = Places(home / "postgres").socket
        assert not socket.is_relative_to(home)
        assert len(os.fsencode(socket)) < SOCKET_PATH_LIMIT
        assert socket.stat().st_mode & 0o777 == 0o700
    assert not socket.exists(), "nothing of ours stays in the temporary folder"


def test_a_folder_closed_to_everyone_else_is_no_obstacle(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with Server(closed / "home") as server:
        assert scalar(server.url, "SELECT 1") == 1
        if os.geteuid() == 0:
            owner = Path(f"/proc/{server.pid}").stat().st_uid
            assert owner != 0, "PostgreSQL must not run as root"
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands PostgreSQL to another user")
def test_programs_below_a_closed_folder_run_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    found = binaries.find_binaries().folder  # .../site-packages/<package>/<installation>/bin
    package = found.parents[1]
    shutil.copytree(found.parent, closed / package.name / found.parent.name, symlinks=True)
    if (libraries := package.with_name(f"{package.name}.libs")).exists():
        shutil.copytree(libraries, closed / libraries.name)
    closed.chmod(0o700)
    copied = closed / package.name / found.parent.name / "bin"
    monkeypatch.setattr(binaries, "_candidates", lambda: iter([copied]))
    with Server(tmp_path / "var") as server:
        assert sa.create_engine(server.url).connect().scalar(sa.text("select 1")) == 1


def test_a_second_kitepilot_on_the_same_home_is_told_so(tmp_path: Path) -> None:
    with Server(tmp_path), pytest.raises(PostgresError, match="another KitePilot already runs"):
        Server(tmp_path).start()


def test_a_stale_pid_file_does_not_stop_the_next_start(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        data = server.places.data
    (data / "postmaster.pid").write_text(f"999999\n{data}\n")
    with Server(tmp_path) as server:
        assert scalar(server.url, "SELECT 1") == 1


def test_a_half_made_cluster_is_made_again(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with Server(tmp_path) as server:
        assert scalar(server.url, "SELECT 1") == 1


def test_no_embedded_server_in_this_home_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PostgresError, match=r"start it with `kitepilot up`"):
        server_url(tmp_path)


def test_a_configured_database_wins_over_the_embedded_one(tmp_path: Path) -> None:
    config = configuration.build({"storage": {"database_url": "postgresql+psycopg://u@db/kitepilot"}})
    assert database_url(Run("r", tmp_path / "runs" / "r", config)) == "postgresql+psycopg://u@db/kitepilot"


def test_data_of_a_version_that_is_not_installed_names_the_version(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(PostgresError, match="no PostgreSQL exactly 9"):
        Server(tmp_path).start()


def test_a_container_that_allows_no_capability_drops_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_bounding_set", lambda: 0)
    assert "-all" in binaries._capability_words()
    monkeypatch.setattr(binaries, "_bounding_set", lambda: 1 << 1)
    assert "-all,+dac_override" in binaries._capability_words()


def start_process(run: Run) -> subprocess.Popen[bytes]:
    code = "import sys; from kitepilot import run; from infra.postgres.embedded import main; "
    code += "sys.exit(main(run.current()))"
    return subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, RUN_FOLDER_VARIABLE: str(run.folder)}
    )


def postmaster_pid(home: Path) -> int:
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


def test_the_process_says_ready_and_leaves_nothing_running_on_sigterm(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    child = start_process(run)
    await_true(run.ready_file("postgres").exists)
    pid = postmaster_pid(tmp_path)
    assert scalar(database_url(run), "SELECT 1") == 1
    child.terminate()
    assert child.wait(20) == 0
    assert not Path(f"/proc/{pid}").exists()


def test_after_a_kill_of_the_supervised_process_the_next_one_takes_over(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    child = start_process(run)
    await_true(run.ready_file("postgres").exists)
    write_row(database_url(run), "committed")
    child.kill()
    child.wait(10)
    run.ready_file("postgres").unlink()
    again = start_process(run)
    await_true(run.ready_file("postgres").exists)
    assert scalar(database_url(run), "SELECT count(*) FROM runs") == 1
    again.terminate()
    assert again.wait(20) == 0


def test_the_process_serves_in_the_foreground_until_sigterm(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def stop_when_ready() -> None:
        await_true(run.ready_file("postgres").exists)
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop_when_ready)
    stopper.start()
    try:
        assert main(run) == 0
    finally:
        stopper.join()
        signal.signal(signal.SIGTERM, before)


def test_a_home_in_use_ends_the_process_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with Server(tmp_path):
            assert main(run_in(tmp_path)) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err.startswith("postgres: another KitePilot already runs")
