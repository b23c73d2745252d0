"""Each account may do its own work and nothing else; no query reaches files or the network."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_process import new_run

from infra.clickhouse.client import connect

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif("os.environ.get('CLICKHOUSE_URL')", reason="rights of the embedded server's accounts"),
]

INSERT = "INSERT INTO schema_migrations (number, title, checksum) VALUES (0, '', '')"
DENIED = {
    "sink": [
        "CREATE TABLE mine (a Int8) ENGINE = Memory",
        "DROP TABLE ticks",
        "ALTER TABLE ticks DELETE WHERE 1",
        "TRUNCATE TABLE fills",
        "CREATE DATABASE kitepilot_mine",
    ],
    "dbt": [INSERT, "DROP TABLE ticks", "CREATE TABLE mine (a Int8) ENGINE = Memory"],
    "superset": [INSERT, "DROP TABLE ticks", "CREATE DATABASE kitepilot_mine", "SET readonly = 0"],
    "api": [INSERT, "DROP TABLE ticks", "CREATE DATABASE kitepilot_mine", "SET readonly = 0"],
}
NOBODY_MAY = [
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1:9000', 'system', 'one')",
    "SELECT * FROM s3('http://127.0.0.1:1/x', 'CSV')",
    "SELECT * FROM default.`/etc/passwd`",
    "INSERT INTO FUNCTION file('/tmp/stolen.csv', 'CSV', 'a Int8') SELECT 1",
    "SELECT 1 INTO OUTFILE '/tmp/stolen.csv'",
    "SELECT * FROM system.users",
    "SET ROLE kitepilot_owner",
    "/* a comment */ set\n-- another\nrole ALL",
    "SET DEFAULT ROLE kitepilot_owner TO default",
    "SELECT 1; SET ROLE kitepilot_owner",
    "SELECT $$'$$; SET ROLE kitepilot_owner; --'",
    "SELECT $tag$ ' $tag$; SET ROLE kitepilot_owner; -- '",
    "INSERT INTO x VALUES (1); SET ROLE kitepilot_owner",
    "EXECUTE AS owner",
    "SYSTEM SHUTDOWN",
]


@pytest.fixture(params=["sink", "dbt", "superset", "api"])
def account(
    server_home: tuple[Path, str], request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Client]:
    run = new_run(server_home[0], server_home[1], f"paper-{tmp_path.name}")
    with connect(run, request.param) as client:
        client.account = request.param  # type: ignore[attr-defined]
        yield client


def test_nobody_reaches_files_the_network_or_another_role(account: Client) -> None:
    for query in NOBODY_MAY:
        with pytest.raises(DatabaseError):
            account.command(query)
        with pytest.raises(DatabaseError):  # and still not the owner
            account.command("CREATE TABLE kitepilot.mine (a Int8) ENGINE = Memory")


def test_an_account_is_denied_what_is_not_its_work(account: Client) -> None:
    for query in DENIED[account.account]:  # type: ignore[attr-defined]
        with pytest.raises(DatabaseError) as caught:
            account.command(query)
        assert caught.value.code in (164, 497), query


def test_a_role_in_the_url_changes_nothing(account: Client) -> None:
    before = account.query("SELECT currentRoles()").first_row
    assert account.query("SELECT currentRoles()", settings={"role": "kitepilot_owner"}).first_row == before


def test_an_account_can_do_its_work(server_home: tuple[Path, str], tmp_path: Path) -> None:
    run = new_run(server_home[0], server_home[1], f"paper-{tmp_path.name}")
    with connect(run, "dbt") as dbt:
        dbt.command("CREATE DATABASE IF NOT EXISTS kitepilot_marts ENGINE = Atomic")
        dbt.command(
            "CREATE OR REPLACE TABLE kitepilot_marts.days ENGINE = MergeTree ORDER BY run_id AS "
            "SELECT run_id, count() AS fills FROM kitepilot.fills GROUP BY run_id"
        )
        dbt.command("DROP TABLE kitepilot_marts.days")
    for role in ("superset", "api"):
        with connect(run, role) as reader:
            assert len(reader.query("SELECT count() FROM ticks").result_rows) == 1


def test_passwords_are_drawn_once_and_private(server_home: tuple[Path, str]) -> None:
    path = server_home[0] / "clickhouse" / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
