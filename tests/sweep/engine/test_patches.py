"""What is changed in Ray, and that Ray still needs it."""

import pytest
from ray.tune import Trainable, register_trainable
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.experiment import trial

from transfer_sweep.sweep.engine.patches import cached_trainable_lookup


def test_tune_looks_its_trainable_up_once_while_a_pass_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(name: str) -> type[Trainable]:
        asked.append(name)
        return Trainable

    register_trainable("t", Trainable)
    monkeypatch.setattr(trial, "get_trainable_cls", look_up)
    for _ in range(2):
        with cached_trainable_lookup():
            for _ in range(3):
                TuneTrial("t", config={}).get_trainable_cls()
    assert asked == ["t", "t"]  # a later pass has a class of its own by the same name
    TuneTrial("t", config={}).get_trainable_cls()
    assert len(asked) > 2
