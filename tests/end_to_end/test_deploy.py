"""``deploy/``: what can be said of it without a cluster by Ray's schema, our command line and our code."""

import json
import re
import shlex
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.dashboard.modules.metrics.dashboards import default_dashboard_panels
from ruamel.yaml import YAML

from transfer_sweep.sweep.cli.app import app
from transfer_sweep.sweep.engine import metrics as monitoring

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def _load(name: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all((DEPLOY / name).read_text()))


def test_the_launcher_takes_the_cluster_and_refuses_one_with_a_misspelt_key() -> None:
    (config,) = _load("cluster.yaml")
    validate_config(prepare_config(config))
    with pytest.raises(Exception, match="worker_start_ray_command"):
        validate_config(prepare_config(config | {"worker_start_ray_command": []}))


def test_no_node_of_the_cluster_starts_without_a_token() -> None:
    (config,) = _load("cluster.yaml")
    starts = [c for key in ("head", "worker") for c in config[f"{key}_start_ray_commands"] if "ray start" in c]
    assert len(starts) == 2
    assert all(command.startswith("RAY_AUTH_MODE=token ") for command in starts)


def test_the_ray_job_runs_a_command_that_there_is() -> None:
    *_, job = _load("rayjob.yaml")
    python, dash_m, name, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert (python, dash_m, name) == ("python", "-m", "sweep")
    command = typer.main.get_command(app)
    context = command.make_context("sweep", arguments, resilient_parsing=True)
    run = command.get_command(context, arguments[0])  # type: ignore[attr-defined]
    parsed = run.make_context("run", arguments[1:], resilient_parsing=True).params
    assert parsed["name"] in {path.stem for path in (DEPLOY.parent / "search_spaces").glob("*.yaml")}
    assert parsed["address"] == "auto"


def test_the_pods_of_the_ray_job_fit_together() -> None:
    shared, results, job = _load("rayjob.yaml")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == metadata.version("ray")
    assert f"rayproject/ray:{cluster['rayVersion']}-py311" in (DEPLOY / "Dockerfile").read_text()
    assert cluster["authOptions"] == {"mode": "token"}
    templates = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    claims = []
    for pod in templates:
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert container["resources"]["limits"] == container["resources"]["requests"]
        claims.append({v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v})
    head, *workers = claims
    assert head == {results["metadata"]["name"], shared["metadata"]["name"]}
    assert workers
    assert all(own == {shared["metadata"]["name"]} for own in workers)  # one node has the ledger
    folders = re.findall(r"--(?:data-root|results|storage) (\S+)", job["spec"]["entrypoint"])
    mounted = [mount["mountPath"] for mount in templates[0]["containers"][0]["volumeMounts"]]
    assert all(any(f"{folder}/".startswith(f"{path}/") for path in mounted) for folder in folders)
    assert len(folders) == 3


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [v["query"]["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    asked = {name for query in queries for name in re.findall(r"\bray_\w+", query)}
    code = Path(monitoring.__file__).read_text()
    gauges = {f"ray_{name}" for name in re.findall(r'metrics\.Gauge\(\s*"(\w+)"', code)}
    counters = {f"ray_{name}_total" for name in re.findall(r'metrics\.Counter\(\s*"(\w+)"', code)}
    ours = {name for name in asked if name.startswith("ray_sweep_")}
    assert ours == gauges | counters  # none is misspelt, none is forgotten
    known = Path(default_dashboard_panels.__file__).read_text()
    assert all(re.search(rf"\b{name}\b", known) for name in asked - ours)


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    panels = json.loads((DEPLOY / "grafana-dashboard.json").read_text())["panels"]
    taken = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
