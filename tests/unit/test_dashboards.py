"""Dashboard, alerts and runbooks speak of metrics that exist, and every alert leads to a runbook."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.pages.metrics_reference import metrics_page
from streams.watching.metrics import Metrics
from tests.unit.programs import needed

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
DASHBOARD: dict[str, Any] = json.loads((DOCKER / "grafana" / "maitred.json").read_text())  # JSON: any shape
RULES = yaml.safe_load((DOCKER / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
RUNBOOKS = (ROOT / "docs" / "operating.md").read_text()
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
FAMILIES = {family.name: family for family in Metrics().families}
OF_THE_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
WORDS = re.compile(r"\b((?:maitred|process)_[a-z_0-9]+)\b(?:\{([^}]*)\})?")


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]] + [rule["expr"] for rule in RULES]


def family_of(name: str) -> str:
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return base if base in FAMILIES and FAMILIES[base].kind == "histogram" else name


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_names_metrics_and_labels_that_exist(expression):
    named = WORDS.findall(expression)
    if "up{" not in expression:
        assert named
    for name, matchers in named:
        if name in OF_THE_PROCESS:
            continue
        family = FAMILIES[family_of(name)]
        assert set(re.findall(r"(\w+)\s*[=!]~?", matchers)) <= {*family.labels, "le"}, name


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_groups_by_labels_that_exist(expression):
    known = {label for family in FAMILIES.values() for label in family.labels} | {"le", "instance"}
    for labels in re.findall(r"(?:by|on) \(([^)]*)\)", expression):
        assert {label.strip() for label in labels.split(",")} <= known


def test_the_dashboard_shows_every_metric_or_an_alert_uses_it():
    """What nobody looks at need not be measured."""
    shown = {family_of(name) for expression in expressions() for name, _ in WORDS.findall(expression)}
    unseen = set(FAMILIES) - shown
    assert unseen == {"maitred_snapshots_total", "maitred_partitions_assigned"}


def test_panels_have_titles_of_their_own_and_do_not_overlap():
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_where_its_runbook_is(rule):
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = {
        re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-")
        for h in re.findall(r"^#+ (.+)$", RUNBOOKS, re.MULTILINE)
    }
    assert page == "docs/operating.md"
    assert anchor in headings
    assert rule["alert"] in RUNBOOKS


def test_every_metric_is_documented():
    page = metrics_page()
    assert (ROOT / "docs" / "metrics.md").read_text() == page, "run `make docs`"
    assert [name for name in FAMILIES if f"`{name}`" not in page] == []


def test_runbooks_name_metrics_that_exist():
    names = {name for name, _ in WORDS.findall(RUNBOOKS)}
    assert names
    assert {family_of(name) for name in names} <= set(FAMILIES) | OF_THE_PROCESS


def test_prometheus_scrapes_the_worker_of_compose():
    config = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yaml").read_text())
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "maitred"
    assert job["static_configs"] == [{"targets": ["worker:6066"]}]
    assert config["rule_files"] == ["alerts.yaml"]


def test_grafana_finds_data_and_dashboard():
    provisioning = DOCKER / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "maitred.yaml").read_text())["providers"]
    assert {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]} == {source["uid"]}
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


@pytest.fixture
def promtool():
    return needed("promtool", "prometheus")


def test_prometheus_reads_every_expression_of_the_dashboard(promtool, tmp_path):
    rules = [
        {"record": "tried", "expr": target["expr"].replace("$__rate_interval", "1m")}
        for panel in PANELS
        for target in panel["targets"]
    ]
    tried = tmp_path / "rules.yaml"
    tried.write_text(yaml.safe_dump({"groups": [{"name": "tried", "rules": rules}]}))
    run = subprocess.run(
        [promtool, "check", "rules", "--lint=none", tried], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_alerts_fire_when_they_should_and_only_then(promtool):
    run = subprocess.run(
        [promtool, "test", "rules", "alerts-test.yaml"],
        cwd=DOCKER / "prometheus",
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
