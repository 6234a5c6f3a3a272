"""A cluster of several nodes on this machine: one joins, one is lost, and the driver's node runs no trial itself."""

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families
from ray.cluster_utils import Cluster

from transfer_sweep.reports.ledger.ledger import FILE, Ledger

pytestmark = [pytest.mark.ray, pytest.mark.slow]

# Trials longer than it takes to start a process: Tune gives a waiting one the first process that is free.
EXPERIMENT = """\
dataset: offline_digits
dataset_options: {channels: 1, train: 1000, test: 100}
protocol: {backbone: small_cnn, training: scratch}
pairs: [rendered-photo]
epochs: 90
early_stopping: {scheduler: none}
checkpoint_seconds: 0
methods:
  source_only: {lr: [0.001, 0.003, 0.01, 0.03]}
"""
ROOT = Path(__file__).resolve().parents[2]
METRICS = "metrics: "


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    quick = {"metrics_report_interval_ms": 1000}
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": quick}
    )
    yield cluster
    cluster.shutdown()


class Driver:
    """``sweep run`` as a process, and its ledger."""

    def __init__(self, folder: Path, address: str) -> None:
        file = folder / "nodes.yaml"
        file.write_text(EXPERIMENT)
        self.folder, self.said = folder / "nodes", folder / "said"
        command = [sys.executable, "-m", "sweep", "run", str(file), "--results", str(folder), "--address", address]
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=said)

    def read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        with Ledger(self.folder / FILE) as ledger:
            return ledger.trials(), ledger.epochs()

    def until(self, come: Callable[[], bool]) -> None:
        """Wait for something, at most five minutes, while the run goes on."""
        for _ in range(300):
            if (self.folder / FILE).exists() and come():
                return
            try:
                self.process.wait(1)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"the run ended: {self.said.read_text()}")
        pytest.fail(f"nothing came in five minutes: {self.said.read_text()}")

    def saved_and_running(self) -> int:
        trials, _ = self.read()
        return int((trials["checkpoint"].notna() & (trials["state"] == "running")).sum())

    def metrics(self) -> dict[tuple[str, str], float]:
        """(name, value of its last tag) → value, of our metrics at the driver's node."""
        (line,) = [line for line in self.said.read_text().splitlines() if line.startswith(METRICS)]
        with urllib.request.urlopen(line.removeprefix(METRICS)) as page:
            families = text_string_to_metric_families(page.read().decode())
            samples = [s for f in families for s in f.samples if s.name.startswith("ray_sweep_")]
        assert {s.labels["experiment"] for s in samples} <= {"nodes"}
        return {(s.name, s.labels.get("state") or s.labels.get("pair", "")): s.value for s in samples}


def test_a_joining_node_is_used_and_a_lost_ones_trial_continues_elsewhere(cluster: Cluster, tmp_path: Path) -> None:
    first = cluster.add_node(num_cpus=1)
    driver = Driver(tmp_path, cluster.address)
    try:
        driver.until(lambda: driver.saved_and_running() == 1)
        cluster.add_node(num_cpus=1)
        driver.until(lambda: driver.saved_and_running() == 2)
        driver.until(lambda: driver.metrics().get(("ray_sweep_trials", "running")) == 2)
        found = driver.metrics()
        assert found["ray_sweep_trials", "pending"] + found["ray_sweep_trials", "done"] == 2
        assert found["ray_sweep_epochs_total", ""] >= 2
        assert ("ray_sweep_best_score", "rendered-photo") in found
        _, before = driver.read()
        cluster.remove_node(first, allow_graceful=False)
        assert driver.process.wait(600) == 0, driver.said.read_text()
    finally:
        driver.process.kill()
    trials, after = driver.read()
    assert set(trials["state"]) == {"done"}
    (lost,) = trials.loc[trials["attempts"] > 1, "id"]
    assert dict(zip(trials["id"], trials["attempts"], strict=True))[lost] == 2
    # It went on where it had saved itself: what a second time would have taken is not what is recorded.
    seconds = [rows[(rows["trial"] == lost) & (rows["epoch"] == 1)]["seconds"].item() for rows in (before, after)]
    assert seconds[0] == seconds[1]
    assert (after.groupby("trial").size() == 90).all()
    assert len(list(driver.folder.glob("logits/*/*.npz"))) == 4  # sent from nodes that are not the driver's
    assert len(list(driver.folder.glob("models/*/*.safetensors"))) == 1
    assert not list(driver.folder.glob("checkpoints/*"))
