"""Each account may do its own work and nothing else; no query reaches files or the network."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData
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
    "dbt": [
        INSERT,
        "DROP TABLE ticks",
        "CREATE TABLE mine (a Int8) ENGINE = Memory",
        "CREATE DATABASE mine",
        "CREATE MATERIALIZED VIEW kitepilot_x.m TO kitepilot.schema_migrations AS "
        "SELECT 0 AS number, '' AS title, '' AS checksum FROM kitepilot.fills",
    ],
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
    "SELECT file('/etc/hostname')",
    "SELECT `file`('/etc/hostname')",
    "SELECT `fi\\x6ce`('/etc/hostname')",
    "SELECT `f\\ile`('/etc/hostname')",
    "SELECT \"file\"('/etc/hostname')",
    "SELECT * APPLY(file) FROM (SELECT '/etc/hostname')",
    "SELECT arrayMap(file, ['/etc/hostname'])",
    "WITH file('/etc/hostname') AS stolen SELECT stolen",
    "INSERT INTO x VALUES (file('/etc/hostname'))",
    "SELECT 1 SETTINGS additional_result_filter = 'length(file(''/etc/hostname'')) > 0'",
    "SET dialect = 'prql'",
    "SELECT * FROM eval('SELECT 1') SETTINGS allow_experimental_eval_table_function = 1",
    "SELECT * FROM python(os)",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM sqlite('/tmp/x.db', 't')",
    "SELECT * FROM icebergLocal('/etc')",
    "CREATE DATABASE kitepilot_fs ENGINE = Filesystem('/')",
    "CREATE DATABASE kitepilot_pg ENGINE = PostgreSQL('127.0.0.1:1', 'a', 'b', 'c')",
    "CREATE TABLE kitepilot_x.out (a String) ENGINE = URL('http://127.0.0.1:1/', 'TSV')",
    "CREATE TABLE kitepilot_x.out (a String) ENGINE = File('TSV')",
    "CREATE DICTIONARY kitepilot_x.d (k UInt64) PRIMARY KEY k SOURCE(EXECUTABLE(command 'id' format 'TSV')) "
    "LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE DICTIONARY kitepilot_x.d (k UInt64) PRIMARY KEY k SOURCE(HTTP(url 'http://127.0.0.1:1/' "
    "format 'TSV')) LAYOUT(FLAT()) LIFETIME(0)",
    "BACKUP DATABASE kitepilot TO S3('http://127.0.0.1:1/a', 'b', 'c')",
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


OWNER_MAY_NOT = [query for query in NOBODY_MAY if "SYSTEM SHUTDOWN" not in query]


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


@pytest.mark.parametrize("setting", ["additional_result_filter", "dialect", "additional_table_filters"])
def test_no_setting_in_the_url_carries_sql_past_the_check(account: Client, setting: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        account.query("SELECT 1", settings={setting: "length(file('/etc/hostname')) > 0"})
    assert caught.value.code == 497


@pytest.mark.parametrize(
    "structure",
    [
        "a Int8); SET ROLE kitepilot_owner; --",
        "a Int8 DEFAULT 1) ENGINE = Memory; SET ROLE kitepilot_owner; SELECT (1",
        "a String DEFAULT file('/etc/hostname')",
    ],
)
def test_the_columns_of_external_data_hide_no_statement(account: Client, structure: str) -> None:
    for extra in (
        ExternalData(file_name="x.csv", data=b"1\n", fmt="CSV", structure=structure),
        ExternalData(file_name="x.csv", data=b"1\n", fmt="CSV", types=[structure]),
        ExternalData(file_name="x.csv", data=b"1\n", fmt="CSV; SET ROLE kitepilot_owner", structure="a Int8"),
    ):
        with pytest.raises(DatabaseError):
            account.query("SELECT currentRoles()", external_data=extra)


def test_the_owner_too_stays_inside_its_tables(server_home: tuple[Path, str], tmp_path: Path) -> None:
    run = new_run(server_home[0], server_home[1], f"paper-{tmp_path.name}")
    with connect(run, "owner") as owner:
        for query in OWNER_MAY_NOT:
            with pytest.raises(DatabaseError):
                owner.command(query)


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
