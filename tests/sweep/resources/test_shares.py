"""Shares of a GPU: how remembered, when measured, when refused."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.support.experiment_file import KINDS_ON_A_GPU
from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.reports.ledger.records import Trial, TrialState
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.config.schema import Resources
from transfer_sweep.sweep.engine.cluster import Cluster
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning import trials as plan
from transfer_sweep.sweep.resources import gpu_memory as gpu
from transfer_sweep.sweep.resources import shares as resources
from transfer_sweep.sweep.resources.gpu_memory import Footprint
from transfer_sweep.sweep.runner import Run, RunOptions

GIB = 2**30


@pytest.fixture
def rows(tmp_path: Path) -> dict[str, list[Trial]]:
    """Trials by method."""
    (tmp_path / "small.yaml").write_text(KINDS_ON_A_GPU)
    found: dict[str, list[Trial]] = {}
    for row in plan.search(loader.load(str(tmp_path / "small.yaml"))):
        found.setdefault(row.method, []).append(row)
    return found


def _of_size(rows: list[Trial], size: int) -> list[Trial]:
    return [row for row in rows if row.params["batch_size"] == size]


def test_shares_are_measured_once_for_method_backbone_and_batch_size(rows: dict[str, list[Trial]]) -> None:
    shares = resources.Shares(Resources(), gpus=1)
    (small, other), (large, _) = _of_size(rows["source_only"], 10), _of_size(rows["source_only"], 20)
    assert shares.unmeasured(small, ["H100"], 100) == ["H100"]
    assert shares.of(small) == (1, 1)  # a whole one until then
    shares.learn(small, "H100", Footprint(GIB, 0, 16 * GIB), 100)
    assert shares.unmeasured(other, ["H100"], 100) == []
    assert shares.of(other) == (1, gpu.one_of(13))
    assert shares.unmeasured(large, ["H100"], 100) == ["H100"]
    assert shares.unmeasured(rows["mcc"][0], ["H100"], 100) == ["H100"]
    assert shares.unmeasured(small, ["H100"], 101) == ["H100"]  # a larger pair
    assert shares.unmeasured(small, ["H100", "A10G"], 100) == ["A10G"]
    shares.learn(small, "A10G", Footprint(GIB, 0, 4 * GIB), 100)
    assert shares.of(small) == (1, gpu.one_of(3))  # wherever it comes to run
    assert shares.of(rows["nearest_neighbor"][0]) == (1, 0)
    assert shares.unmeasured(rows["nearest_neighbor"][0], ["H100"], 100) == []


def test_what_ran_out_of_memory_takes_twice_the_share_in_later_runs_too(
    rows: dict[str, list[Trial]], tmp_path: Path
) -> None:
    small, other = _of_size(rows["source_only"], 10)
    with Ledger(tmp_path / FILE, write=True) as ledger:
        ledger.set_plan([small, other])
        shares = resources.Shares(Resources(), 1, ledger)
        shares.learn(small, "H100", Footprint(GIB, 0, 16 * GIB), 100)
        shares.ran_out(small, gpu.one_of(13))
        shares.remember(ledger)
        again = resources.Shares(Resources(), 1, ledger)
        assert again.of(small) == again.of(other) == (1, 2 * gpu.one_of(13))
        again.learn(small, "H100", Footprint(GIB, 0, 16 * GIB), 200)  # measured anew, no smaller
        assert again.of(other) == (1, 2 * gpu.one_of(13))
        # Shares given by hand are doubled for the trial alone.
        ledger.start(small.id, {"cpu": 1, "gpu": 0.25})
        ledger.finish(small.id, TrialState.OOM, "CUDA out of memory")
        by_hand = resources.Shares(Resources(gpu=0.25), 1, ledger)
        assert by_hand.of(small) == (1, 0.5)
        assert by_hand.of(other) == (1, 0.25)
        assert resources.Shares(Resources(gpu=0.25), 1, ledger, fresh=True).of(small) == (1, 0.25)
        ledger.start(small.id, {"cpu": 1, "gpu": 1})
        ledger.finish(small.id, TrialState.OOM, "CUDA out of memory")
        assert resources.Shares(Resources(gpu=0.25), 1, ledger).of(small) == (1, 1)


class OneGPU(Cluster):
    """A cluster that need not be asked."""

    def gpus(self) -> float:
        return 1.0


@pytest.mark.parametrize("fresh", [False, True])
def test_a_run_that_begins_anew_knows_what_was_measured(
    rows: dict[str, list[Trial]], tmp_path: Path, fresh: bool
) -> None:
    (row,) = rows["mcc"]
    folder = tmp_path / "small"
    folder.mkdir()
    with Ledger(folder / FILE, write=True) as ledger:
        measured = resources.Shares(Resources(), 1)
        measured.learn(row, "H100", Footprint(GIB, 0, 16 * GIB), 80)
        measured.remember(ledger)
    options = RunOptions(results=tmp_path, data_root=None, cache=tmp_path, fresh=fresh)
    console = Console(quiet=True)
    run = Run(loader.load(str(tmp_path / "small.yaml")), options, console, OneGPU(console))
    assert run.shares().of(row) == measured.of(row) == (1, gpu.one_of(13))
    assert run.shares().shown(row)[1] != "auto"


def test_without_a_gpu_auto_takes_none_and_a_share_by_hand_is_refused(rows: dict[str, list[Trial]]) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 4.0}}]
    (row,) = rows["mcc"]
    assert resources.Shares(Resources(), gpus=0).of(row) == (1, 0)
    by_hand = resources.Shares(Resources(gpu=0.25), gpus=0)
    with pytest.raises(SweepError, match=r"gpu 0\.25.*largest node has cpu 4 and gpu 0"):
        resources.check({by_hand.of(row)}, nodes)
    resources.check({by_hand.of(rows["nearest_neighbor"][0])}, nodes)
    assert resources.Shares(Resources(gpu=0), gpus=1).of(row) == (1, 0)


def test_models_of_gpu_are_those_of_living_nodes() -> None:
    def node(found: dict[str, float], alive: bool = True) -> dict[str, Any]:
        return {"Alive": alive, "Resources": found}

    nodes = [
        node({"CPU": 2}),
        node({"CPU": 2, "GPU": 1, "accelerator_type:H100": 1}),
        node({"CPU": 2, "GPU": 4, "accelerator_type:A10G": 1}),
        node({"GPU": 1, "accelerator_type:T4": 1}, alive=False),
    ]
    assert resources.models(nodes) == ["A10G", "H100"]
    assert resources.models([node({"GPU": 1})]) == [resources.UNNAMED]
    assert resources.models([node({"CPU": 8})]) == []
