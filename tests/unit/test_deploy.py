"""What operators copy from `deploy/` passes the linters of its kind, and its configurations are ones of this version."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from collector.config import load

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "spanmeter"
KUBERNETES = "1.33"
SERVER = {"storeUrl": "http://spanmeter:${env:CLICKHOUSE_PASSWORD}@clickhouse:8123", "replicas": 3}
VARIABLES = {
    "SPANMETER_AGENTS_SHA256": "a" * 64,
    "SPANMETER_GRAFANA_SHA256": "b" * 64,
    "SPANMETER_OPERATOR_SHA256": "c" * 64,
    "CLICKHOUSE_PASSWORD": "secret",
    "SPANMETER_STORE_URL": "http://spanmeter:secret@clickhouse:8123",
}
UNIT = DEPLOY / "systemd" / "spanmeter.service"
_PLAIN = [path for path in sorted(DEPLOY.rglob("*.yaml")) if CHART / "templates" not in path.parents]


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=DEPLOY)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def own(tool: str) -> str:
    """A program that a package of the development environment brings."""
    return str(Path(sys.executable).with_name(tool))


def test_yaml_is_as_it_should_be() -> None:
    rules = (
        "{extends: default, rules: {line-length: {max: 160}, document-start: disable, braces: {max-spaces-inside: 1}}}"
    )
    run(own("yamllint"), "--strict", "-d", rules, *map(str, _PLAIN))


def test_the_dockerfile_is_as_it_should_be() -> None:
    run(own("hadolint"), "--failure-threshold", "style", "Dockerfile")


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("compose-spec", ["compose/alone.yaml", "compose/full.yaml"]),
        ("github-actions", ["ci/github/gate/action.yaml"]),
        ("gitlab-ci", ["ci/gitlab/spanmeter-gate.yaml"]),
    ],
)
def test_files_are_of_the_schema_of_their_kind(schema: str, files: list[str]) -> None:
    run(own("check-jsonschema"), "--builtin-schema", f"vendor.{schema}", *files)


def test_the_workflow_of_the_guide_uses_the_action_as_it_is(tmp_path: Path) -> None:
    """It is one of GitHub, sets inputs that the action has, and neither takes text of strangers into a script."""
    guide = (DEPLOY.parent / "docs" / "gate.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(# \.github/workflows/.*?)```", guide, re.DOTALL)
    github = tmp_path / ".github"
    action = shutil.copytree(DEPLOY / "ci" / "github" / "gate", github / "actions" / "gate")
    workflow = github / "workflows" / "agents.yml"
    workflow.parent.mkdir()
    workflow.write_text(text, encoding="utf-8")
    run(own("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(workflow))
    inputs = yaml.safe_load((action / "action.yaml").read_text(encoding="utf-8"))["inputs"]
    steps = yaml.safe_load(text)["jobs"]["gate"]["steps"]
    (used,) = [step["with"] for step in steps if step["uses"] == "./.github/actions/gate"]
    assert used.keys() <= inputs.keys()
    assert {name for name, value in inputs.items() if value.get("required")} <= used.keys()
    policy = tmp_path / "zizmor.yaml"  # GitHub's own actions may go by their major version
    policy.write_text("rules: {unpinned-uses: {config: {policies: {'actions/*': ref-pin}}}}", encoding="utf-8")
    run(own("zizmor"), "--offline", "--quiet", "--min-severity=medium", f"--config={policy}", str(tmp_path))


def test_scripts_of_the_action_are_as_they_should_be(tmp_path: Path) -> None:
    action = yaml.safe_load((DEPLOY / "ci" / "github" / "gate" / "action.yaml").read_text(encoding="utf-8"))
    scripts = [step["run"] for step in action["runs"]["steps"] if step.get("shell") == "bash"]
    assert scripts
    for number, script in enumerate(scripts):
        path = tmp_path / f"{number}.sh"
        path.write_text(f"#!/usr/bin/env bash\n{script}", encoding="utf-8")
        run(own("shellcheck"), str(path))


def rendered(**values: Any) -> list[Mapping[str, Any]]:
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values, name="prod", namespace="traces")
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def test_the_chart_is_as_helm_wants_it() -> None:
    for values in ({}, SERVER):
        report = helm.lint(CHART, values, strict=True)
        assert [message for message in report["messages"] if message["severity"] > 1] == []
        assert not report["errors"]


@pytest.mark.parametrize(
    "values",
    [{}, {"backupClaim": "nightly"}, {**SERVER, "serviceMonitor": {"enabled": True}}],
    ids=["embedded", "with a volume for backups", "server"],
)
def test_what_the_chart_renders_is_of_kubernetes(values: dict[str, Any]) -> None:
    documents = rendered(**values)
    kinds = [document["kind"] for document in documents]
    assert {"StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy"} <= set(kinds)
    assert ("ServiceMonitor" in kinds) == ("serviceMonitor" in values)
    for document in documents:
        if document["kind"] != "ServiceMonitor":  # of the Prometheus operator
            kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_pods_may_do_little() -> None:
    (stateful,) = [document for document in rendered() if document["kind"] == "StatefulSet"]
    pod = stateful["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["automountServiceAccountToken"]
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    assert {"name": "tmp", "emptyDir": {}} in pod["volumes"]


def test_a_pod_is_scraped_once() -> None:
    documents = rendered(serviceMonitor={"enabled": True, "labels": {"release": "kube-prometheus-stack"}})
    (monitor,) = [document for document in documents if document["kind"] == "ServiceMonitor"]
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    selected = monitor["spec"]["selector"]["matchLabels"].items()
    (service,) = [
        document
        for document in documents
        if document["kind"] == "Service" and selected <= document["metadata"]["labels"].items()
    ]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_backups_go_to_a_volume_of_their_own() -> None:
    documents = rendered(backupClaim="nightly", imagePullSecrets=[{"name": "registry"}])
    (pod,) = [one["spec"]["template"]["spec"] for one in documents if one["kind"] == "StatefulSet"]
    assert {"name": "backups", "persistentVolumeClaim": {"claimName": "nightly"}} in pod["volumes"]
    assert {"name": "backups", "mountPath": "/backups"} in pod["containers"][0]["volumeMounts"]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"replicas": 2}, "replicas above 1 need a ClickHouse server"),
        ({**SERVER, "backupClaim": "nightly"}, "backupClaim is for the embedded store"),
    ],
)
def test_values_that_do_not_go_together(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(helm.HelmError, match=sentence):
        rendered(**values)


def test_an_unknown_value_is_a_mistake() -> None:
    report = helm.lint(CHART, {"replica": 2}, strict=True)
    assert any("replica" in message["error"] for message in report["messages"] if message["severity"] > 1)


def configurations() -> Iterator[tuple[str, str]]:
    yield "compose", (DEPLOY / "compose" / "config.yaml").read_text(encoding="utf-8")
    charts: dict[str, dict[str, Any]] = {
        "chart": {},
        "chart with a claim": {"backupClaim": "nightly"},
        "chart with a server": SERVER,
    }
    for name, values in charts.items():
        (config,) = [document for document in rendered(**values) if document["kind"] == "ConfigMap"]
        yield name, config["data"]["config.yaml"]


def test_configurations_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    for name, text in configurations():
        path = tmp_path / "config.yaml"
        path.write_text(text)
        config = load(path, [], tmp_path)
        assert config.auth.tokens, name
        assert config.web.endpoint == "0.0.0.0:8080"
        assert config.store.embedded == (name in {"chart", "chart with a claim"})
        assert (config.store.backup_dir == Path("/backups")) == (name in {"compose", "chart with a claim"})


@pytest.mark.parametrize("name", ["alone", "full"])
def test_compose_names_what_is_there(name: str) -> None:
    document = yaml.safe_load((DEPLOY / "compose" / f"{name}.yaml").read_text(encoding="utf-8"))
    for service in document["services"].values():
        # The embedded engine does not start without a place for temporary files.
        assert service.get("tmpfs", []) == (["/tmp"] if service.get("read_only") else [])
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            there = (DEPLOY / "compose" / source).exists() if source.startswith(".") else source in document["volumes"]
            assert there, volume
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert service["image"] == "spanmeter" or ":" in service["image"]


@pytest.mark.parametrize("name", ["to-spanmeter", "from-spanmeter"])
def test_pipelines_of_the_collector_are_made_of_what_is_declared(name: str) -> None:
    document = yaml.safe_load((DEPLOY / "otel-collector" / f"{name}.yaml").read_text(encoding="utf-8"))
    used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
    for pipeline in document["service"]["pipelines"].values():
        for kind, names in used.items():
            names |= set(pipeline[kind])
    assert used == {kind: set(document[kind]) for kind in used}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_the_unit_is_one_and_may_do_little(tmp_path: Path) -> None:
    copy = tmp_path / "spanmeter.service"
    copy.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/spanmeter/bin/spanmeter", sys.executable))
    run("systemd-analyze", "verify", str(copy))
    run("systemd-analyze", "security", "--offline=true", "--threshold=15", str(UNIT))
