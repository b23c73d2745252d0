"""The production shape is checked without Docker: by its schema, and against what the code knows."""

import json
import re
import subprocess
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from xml.etree.ElementTree import Element, parse

import jsonschema
import pytest
import yaml

from infra.analytics.dbt import DBT_VARIABLE, PROJECT_VARIABLE
from infra.clickhouse.accounts import ACCOUNTS
from kitepilot import config as configuration
from kitepilot.cli import processes
from kitepilot.cli.main import app
from kitepilot.topics import TOPICS

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: s for name, s in SERVICES.items() if str(s["image"]).startswith("kitepilot:")}
THIRD_PARTY_VARIABLES = re.compile(r"^(POSTGRES_|GF_|SUPERSET_|CONFIG_FILEPATH|TZ$|OMP_NUM_THREADS$)")


def test_the_compose_file_follows_the_compose_specification() -> None:
    vendor = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(COMPOSE, json.loads(vendor.read_text()))


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_ours_exists(name: str) -> None:
    program, command, *rest = OURS[name]["command"]
    assert program == "kitepilot"
    registered = {c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands}
    groups = {group.name for group in app.registered_groups}
    assert command in registered | groups
    if command == "run":
        processes.by_name(rest[0])


def test_every_trading_process_has_a_service() -> None:
    run = {s["command"][2] for s in OURS.values() if s["command"][1] == "run"}
    assert run == {p.name for p in (processes.SANDBOX, *processes.TRADING)}


def test_every_environment_variable_of_ours_is_read_by_the_code() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "infra/compose/*.xml", "superset/*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    source = "\n".join((ROOT / f).read_text() for f in listed if not f.startswith("tests/"))
    for service in SERVICES.values():
        for variable in service.get("environment", {}):
            assert THIRD_PARTY_VARIABLES.match(variable) or variable in source, variable


def test_the_image_brings_dbt_and_the_project_and_says_where_they_are() -> None:
    image = (ROOT / "infra/images/kitepilot.Dockerfile").read_text()
    assert f"{DBT_VARIABLE}=/opt/dbt/bin/dbt" in image
    assert f"{PROJECT_VARIABLE}=/opt/dbt_project" in image
    assert "COPY dbt_project /opt/dbt_project" in image
    assert "--require-hashes -r dbt.lock" in image
    assert SERVICES["analytics"]["command"][:3] == ["kitepilot", "analytics", "build"]
    assert set(SERVICES["analytics"]["depends_on"]) == {"clickhouse"}


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_the_configuration_in_the_containers_is_valid(mode: str) -> None:
    config = configuration.load(ROOT / "infra" / "compose" / f"{mode}.yaml")
    assert config.mode == mode
    assert config.log.kind == "kafka"
    hosts = re.findall(
        r"//(?:[^@/]*@)?([a-z-]+):", f"{config.storage.database_url} {config.storage.clickhouse_url}"
    )
    assert set(hosts) <= set(SERVICES)
    assert config.log.bootstrap_servers.split(":")[0] in SERVICES


def test_the_api_port_is_the_one_prometheus_scrapes_and_compose_publishes() -> None:
    config = configuration.load(ROOT / "infra" / "compose" / "paper.yaml")
    scrape = yaml.safe_load((ROOT / "infra" / "prometheus" / "prometheus.yml").read_text())
    targets = {
        t for job in scrape["scrape_configs"] for group in job["static_configs"] for t in group["targets"]
    }
    assert f"api:{config.api.port}" in targets
    assert f"127.0.0.1:{config.api.port}:{config.api.port}" in SERVICES["api"]["ports"]


def test_redpanda_never_acknowledges_before_the_disk_has_it() -> None:
    flags = SERVICES["redpanda"]["command"]
    assert "--unsafe-bypass-fsync=false" in flags
    assert "--set=redpanda.developer_mode=false" in flags
    bootstrap = yaml.safe_load((ROOT / "infra" / "redpanda" / "bootstrap.yaml").read_text())
    assert bootstrap["write_caching_default"] == "false"


def test_the_console_decodes_exactly_our_msgpack_topics() -> None:
    console = yaml.safe_load((ROOT / "infra" / "redpanda" / "console.yaml").read_text())
    assert set(console["serde"]["messagePack"]["topicNames"]) == {
        t.name for t in TOPICS if t.value.startswith("msgpack")
    }


def test_images_are_pinned_and_ours_run_without_root() -> None:
    for name, service in SERVICES.items():
        tag = str(service["image"]).rpartition(":")[2]
        assert re.search(r"\d", tag), f"{name} is not pinned"
    for service in OURS.values():
        assert service["user"] == "10001:10001"
        assert service["read_only"] is True
    for dockerfile in (ROOT / "infra" / "images").glob("*.Dockerfile"):
        last_user = re.findall(r"^USER (\S+)", dockerfile.read_text(), re.M)[-1]
        assert last_user != "root"


def test_published_ports_listen_on_loopback_only() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} publishes {port}"


def test_files_that_are_mounted_or_copied_exist() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            if mount.startswith("./"):
                assert (ROOT / mount.split(":")[0]).exists(), mount
    for dockerfile in (ROOT / "infra" / "images").glob("*.Dockerfile"):
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile.read_text(), re.M):
            for source in line.split()[:-1]:
                assert (ROOT / source).exists(), source


def _grants(element: Element | None, database: str = "kitepilot") -> list[str]:
    """What a role or user may do; on a server an engine needs no grant of its own."""
    assert element is not None
    told = [
        Template(str(query.text)).substitute(database=database) for query in element.findall("grants/query")
    ]
    return [grant for grant in told if "TABLE ENGINE" not in grant]


def test_an_account_may_do_on_the_server_what_it_may_do_on_the_embedded_one_and_no_more() -> None:
    embedded = parse(ROOT / "infra" / "clickhouse" / "users.xml").getroot()
    server = parse(ROOT / "infra" / "compose" / "clickhouse-users.xml").getroot()
    users = server.find("users")
    assert users is not None
    assert {user.tag for user in users} == set(ACCOUNTS)
    for account in ACCOUNTS.values():
        granted = _grants(users.find(account.name))
        assert granted == _grants(embedded.find(f"roles/{account.role}")) != [], account.name
        profile = users.findtext(f"{account.name}/profile")
        assert (server.findtext(f"profiles/{profile}/readonly") == "2") is account.readonly, account.name


def test_every_process_of_ours_is_healthy_only_when_it_does_its_work() -> None:
    for name, service in OURS.items():
        if service["command"][1] == "run":
            assert service["healthcheck"]["test"][-1].endswith(f"/ready/{service['command'][2]}"), name


def test_stateful_services_have_health_checks_and_volumes() -> None:
    for name in ("redpanda", "postgres", "clickhouse", "superset", "prometheus", "grafana"):
        assert "healthcheck" in SERVICES[name], name
        assert any(":" in str(v) and not str(v).startswith("./") for v in SERVICES[name]["volumes"]), name
