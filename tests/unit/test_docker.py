"""What can be said about docker/ without an engine: it agrees with itself and keeps to loopback."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())  # YAML: any shape
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = sorted(name for name in SERVICES if SERVICES[name].get("restart") == "unless-stopped")
ONCE = sorted(set(SERVICES) - set(LASTING))


def pom(name: str) -> str | None:
    return ET.parse(DOCKER / "kafka-pom.xml").findtext(f".//{{*}}{name}")


def test_compose_and_the_jars_run_the_same_kafka() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{pom('kafka.version')}"


def test_kafka_is_a_4() -> None:
    assert re.fullmatch(r"4\.\d+\.\d+", pom("kafka.version") or "")


def test_every_published_port_is_on_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) >= 3
    assert [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []


def test_the_lasting_services_are_the_ones_we_know() -> None:
    assert LASTING == ["grafana", "kafka", "prometheus", "redis", "registry", "worker"]
    assert ONCE == ["schemas", "topics"]


@pytest.mark.parametrize("name", LASTING)
def test_every_lasting_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_waits_for_what_it_needs_to_be_ready(name: str) -> None:
    for needed, wait in SERVICES[name].get("depends_on", {}).items():
        expected = "service_healthy" if needed in LASTING else "service_completed_successfully"
        assert wait == {"condition": expected}, needed


def test_redis_never_evicts_and_writes_its_file() -> None:
    command = SERVICES["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--appendonly"] == "yes"


def test_kafka_makes_no_topic_by_accident() -> None:
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_image_is_locked_unprivileged_and_watched() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text()
    assert "--require-hashes -r requirements.lock" in dockerfile
    assert dockerfile.index("USER maitred") < dockerfile.index("ENTRYPOINT")
    assert "HEALTHCHECK" in dockerfile


def test_the_image_holds_every_package_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    dockerfile = (DOCKER / "Dockerfile").read_text()
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    for package in [name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]]:
        assert f"COPY {package} {package}\n" in dockerfile
        assert f"!{package}" in ignored


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("NODES", "2", "NODES must be 1 or 3, got 2"),
        ("KAFKA_PORT", "kafka", "KAFKA_PORT must be a number from 1 to 65535, got 'kafka'"),
        ("REDIS_PORT", "70000", "REDIS_PORT must be a number from 1 to 65535, got '70000'"),
        ("KAFKA_HEAP", "lots", "KAFKA_HEAP must look like 768m or 2g, got 'lots'"),
    ],
)
def test_the_servers_script_names_a_wrong_setting(variable: str, value: str, said: str) -> None:
    run = subprocess.run(
        [sys.executable, DOCKER / "servers.py", "status"],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == f"servers: {said}\n"
