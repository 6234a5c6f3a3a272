"""What is changed in Ray, and that Ray still needs it."""

import logging
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from ray.tune import Trainable, register_trainable
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.experiment import trial

from transfer_sweep.sweep.engine.patches import cached_trainable_lookup

TRIALS = 4
NAME = "get_trainable_cls"  # of what Tune asks


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Tune looked up so far, by name."""
    names: list[str] = []
    look_up: Any = getattr(trial, NAME)

    def noted(name: str) -> Any:
        names.append(name)
        return look_up(name)

    monkeypatch.setattr(trial, NAME, noted)
    return names


def test_each_pass_looks_its_trainable_up_once(asked: list[str]) -> None:
    register_trainable("t", Trainable)
    for passes in (1, 2):
        with cached_trainable_lookup():
            for _ in range(3):
                TuneTrial("t", config={}).get_trainable_cls()
        assert asked == ["t"] * passes  # a later pass has a class of its own by the same name


class Nothing(Trainable):
    """Ends as it begins."""

    def step(self) -> dict[str, Any]:
        return {"done": True}


@pytest.fixture
def one_core() -> Iterator[None]:
    """A Ray in this process."""
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()


@pytest.mark.ray
@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("patched", [True, False])
def test_without_the_patch_tune_looks_its_trainable_up_several_times_a_trial(
    asked: list[str], tmp_path: Path, patched: bool
) -> None:
    """Where this fails without the patch, Ray needs it no longer: remove ``engine/patches.py``."""
    with cached_trainable_lookup() if patched else nullcontext():
        tune.Tuner(
            Nothing,
            tune_config=tune.TuneConfig(num_samples=TRIALS, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
        ).fit()
    if patched:
        assert len(asked) == 1
    else:
        assert len(asked) >= 2 * TRIALS
