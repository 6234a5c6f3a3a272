"""Trials that share a GPU, through a whole run. Ray's logical GPU and a made-up memory stand in for one."""

import json
from pathlib import Path

import pytest

from tests.support.experiment_file import KINDS_ON_A_GPU
from tests.support.whole_run import read, run
from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.sweep.resources import gpu_memory as gpu

# A GPU that Ray counts and nobody has. Less than 0.2 of it is too little for any trial; mcc breaks its process, as an
# error of CUDA does.
LOGICAL_GPU = """
import functools, pathlib, ray, torch
from transfer_sweep.sweep.resources import gpu_memory as gpu
from transfer_sweep.sweep.engine import trainable, tuner
class Made(gpu.Memory):
    def there(self): return True
    def device(self): return "cpu"
    def total(self): return 16 * 2**30
    def reset_peak(self): pass
    def peak(self): return 2**30
    def context(self): return 0
    def cap(self, fraction):
        if fraction < 0.2: raise torch.OutOfMemoryError(f"CUDA out of memory: {fraction} of it is too little")
class Breaks(trainable.TransferTrial):
    def _one_epoch(self):
        with open(os.environ["EPOCHS"], "a") as file: print(self._spec.trial.method, os.getpid(), file=file)
        if self._spec.trial.method == "mcc": raise RuntimeError("CUDA error: device-side assert triggered")
        return super()._one_epoch()
gpu.Memory, tuner.TransferTrial = Made, Breaks
ray.init = functools.partial(ray.init, num_gpus=1)
"""


@pytest.mark.ray
@pytest.mark.slow
def test_shares_grow_until_they_are_enough_and_a_broken_process_is_not_used_again(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(KINDS_ON_A_GPU)
    epochs = tmp_path / "epochs"
    ended = run(tmp_path, prelude=LOGICAL_GPU, EPOCHS=str(epochs))
    assert ended.returncode == 1, ended.stderr
    trials, _ = read(tmp_path)
    states = trials.groupby("method")["state"].agg(set).to_dict()
    assert states == {"mcc": {"failed"}, "source_only": {"done"}, "nearest_neighbor": {"done"}}
    taken = {(row["method"], json.loads(row["resources"])["gpu"]) for row in trials.to_dict("records")}
    enough = 4 * gpu.one_of(13)
    assert taken == {("mcc", enough), ("source_only", enough), ("nearest_neighbor", 0.0)}
    with Ledger(tmp_path / "small" / FILE) as ledger:
        known = ledger.meta("gpu_memory")
    assert {need["share"] for own in known.values() for need in own.values()} == {enough}
    assert len(known) == 3  # mcc; source_only of two batch sizes
    pids = [line.split() for line in epochs.read_text().splitlines()]
    (broke,) = [i for i, (method, _) in enumerate(pids) if method == "mcc"]  # with too small a share it never began
    assert pids[broke][1] not in [pid for _, pid in pids[broke + 1 :]]
