"""A trial and its checkpoints, in this process."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from tests.support.malicious import Malicious
from transfer_sweep.datasets.base import Domain
from transfer_sweep.datasets.offline_digits import OfflineDigits, OfflineDigitsOptions
from transfer_sweep.sweep.engine.object_store import ObjectStore
from transfer_sweep.sweep.engine.trainable import CHECKPOINT, TransferTrial


def _checkpoints(trial: TransferTrial, folder: Path) -> list[Path]:
    """One after each of the first two epochs, as Tune lays them out."""
    made = []
    for i in range(2):
        trial._one_epoch()
        made.append(folder / f"checkpoint_00000{i}")
        made[-1].mkdir(parents=True)
        trial.save_checkpoint(str(made[-1]))
    return made


def _damage(kind: str, file: Path, victim: Path) -> None:
    content = file.read_bytes()
    if kind == "missing":
        file.unlink()
    elif kind == "malicious":
        torch.save({"epoch": 2, "model": Malicious(victim)}, file)
        file.with_name("plain").write_bytes(pickle.dumps(Malicious(victim)))
    elif kind == "of another model":
        state = torch.load(file, weights_only=True)
        state["model"]["nets"] = {k: v[..., :1].clone() for k, v in state["model"]["nets"].items() if v.ndim}
        torch.save(state, file)
    else:
        file.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"?" * 999}[kind])


@pytest.mark.parametrize("kind", ["empty", "truncated", "garbage", "missing", "malicious", "of another model"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_then_to_the_start(
    trial: TransferTrial, tmp_path: Path, kind: str
) -> None:
    first, second = _checkpoints(trial, tmp_path / "trial")
    whole = trial._model.state_dict()
    _damage(kind, second / CHECKPOINT, tmp_path / "victim")
    trial._continue_from(second)
    assert trial._epoch == 1
    trial._one_epoch()  # and from there as if nothing had been
    torch.testing.assert_close(trial._model.state_dict()["nets"], whole["nets"], rtol=0, atol=0)
    _damage(kind, first / CHECKPOINT, tmp_path / "victim")
    trial._continue_from(second)
    assert trial._epoch == 0
    for _ in range(2):
        trial._one_epoch()
    torch.testing.assert_close(trial._model.state_dict()["nets"], whole["nets"], rtol=0, atol=0)
    assert not (tmp_path / "victim").exists()  # nothing in a checkpoint is run


def test_a_trial_on_another_device_continues_from_its_checkpoint(trial: TransferTrial, tmp_path: Path) -> None:
    _, second = _checkpoints(trial, tmp_path / "trial")
    trial._one_epoch()
    whole = trial._model.state_dict()
    trial._device = "meta"  # the state of random numbers, were it put there, could not be used
    trial._continue_from(second)
    assert trial._epoch == 2
    trial._one_epoch()
    torch.testing.assert_close(trial._model.state_dict()["nets"], whole["nets"], rtol=0, atol=0)


def test_a_checkpoint_that_does_not_fit_the_gpu_is_not_taken_for_a_damaged_one(
    trial: TransferTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = _checkpoints(trial, tmp_path / "trial")

    def too_large(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(trial._model, "load_state_dict", too_large)
    with pytest.raises(torch.OutOfMemoryError):
        trial._continue_from(second)


class Part(OfflineDigits):
    """Digits of which a trial has thirty to train on."""

    def load(self, domain: str) -> Domain:
        return dataclasses.replace(super().load(domain), train_size=30)


def test_the_store_holds_whole_domains_and_a_trial_draws_its_part(trial: TransferTrial, tmp_path: Path) -> None:
    row, shared = trial._spec.trial, trial._shared
    part = Part(options=OfflineDigitsOptions(channels=1, train=40, test=20))
    store = ObjectStore(part, tmp_path, None, lambda *_: None)
    store.put([row])
    assert {len(ray.get(stored)[0]) for stored in store.domains.values()} == {40}
    assert store.samples(row) == 2 * 30
    task = dataclasses.replace(shared, domains=store.domains).build(row, "cpu", {})[0].task
    assert task.source_validation is not None
    assert (len(task.source), len(task.source_validation), len(task.target_inputs)) == (27, 3, 30)
    assert len(shared.build(row, "cpu", {})[0].task.target_inputs) == 40
