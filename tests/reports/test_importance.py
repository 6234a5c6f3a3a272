"""Importance of hyperparameters, against a closed form."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.support.small_ledger import PROTOCOL
from transfer_sweep.reports import importance
from transfer_sweep.reports.ledger.records import canonical


def candidates(accuracy: dict[tuple[float, str], float], pairs: int = 6, noise: float = 0.0) -> pd.DataFrame:
    """Trials over lr × kernel × pairs: the accuracy of a setting, plus what the pair adds, plus noise."""
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "dataset": "office31",
            "method": "dann",
            "source": "amazon",
            "target": f"target_{pair}",
            "protocol": canonical(PROTOCOL),
            "params": json.dumps({"kernel": kernel, "lr": lr, "fixed": None}),
            "role": "search",
            "state": "done",
            "target_accuracy": 10.0 * pair + value + noise * generator.normal(),
        }
        for pair in range(pairs)
        for (lr, kernel), value in accuracy.items()
    )


def test_a_param_that_decides_all_has_twice_the_variance_as_importance_and_one_without_effect_none() -> None:
    # Of a perfect model, shuffling a param costs twice the variance of what it adds (Gregorutti et al. 2017).
    grid = {(lr, kernel): 5.0 * i for i, lr in enumerate((0.001, 0.01, 0.1)) for kernel in ("rbf", "primal")}
    found = importance.importance(candidates(grid))
    assert found is not None
    assert found.explained == pytest.approx(1, abs=0.02)
    assert found.shares["lr"] == pytest.approx(2, abs=0.3)
    assert found.shares["kernel"] == pytest.approx(0, abs=0.02)
    assert list(found.shares) == ["lr", "kernel"]
    assert found.values == {"kernel": ["rbf", "primal"], "lr": [0.001, 0.01, 0.1]}
    assert found.trials == 36


def test_noise_explains_nothing_on_unseen_pairs() -> None:
    grid = {(lr, kernel): 0.0 for lr in (0.001, 0.01, 0.1) for kernel in ("rbf", "primal")}
    found = importance.importance(candidates(grid, noise=1.0))
    assert found is not None
    assert found.explained < 0.05


@pytest.mark.parametrize(
    ("grid", "pairs"),
    [
        ({(0.1, "rbf"): 1.0}, 6),
        ({(0.1, "rbf"): 1.0, (0.2, "rbf"): 2.0}, 1),
        ({(0.1, "rbf"): 1.0, (0.2, "rbf"): 1.0}, 6),
    ],
)
def test_there_is_no_importance_without_params_that_vary_pairs_to_compare_and_an_effect(
    grid: dict[tuple[float, str], float], pairs: int
) -> None:
    assert importance.importance(candidates(grid, pairs)) is None


def test_a_slice_is_the_mean_effect_of_each_value_on_each_pair() -> None:
    # Kernels add 0 and 2 points, which the mean over them leaves out; lr adds −4, 0 and 4 around the cell's average.
    grid = {(lr, kernel): 4.0 * i + 2 * j for i, lr in enumerate((0.1, 0.001, 0.01)) for j, kernel in enumerate("ab")}
    found = importance.by_value(candidates(grid, pairs=2), "lr", [0.001, 0.01, 0.1])
    assert found.index.tolist() == [0, 1, 2]
    assert found.to_numpy() == pytest.approx(np.array([[0, 0], [4, 4], [-4, -4]]))
    assert importance.by_value(candidates(grid, pairs=2), "kernel", ["a", "b"]).to_numpy() == pytest.approx(
        np.array([[-1, -1], [1, 1]])
    )
