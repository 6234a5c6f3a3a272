"""The study of what a few labels buy: its draws, its test set and its intervals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks import labels as study
from tests.support.small_ledger import PAIRS, Run, experiment
from transfer_sweep.reports.ledger.records import Pair


def _pair(right: list[float]) -> study.Trials:
    """Trials that are right on the first share of 1000 inputs, which a label-free score ranks the other way."""
    truth = np.zeros(1000, dtype=np.int64)
    predictions = np.array([np.arange(1000) >= 1000 * share for share in right]).astype(np.int64)
    rows = pd.DataFrame(
        {
            "id": [str(i) for i in range(len(right))],
            "family": "deep",
            "information_maximization": [-share for share in right],
            "predicted_classes": 1.0,
        }
    )
    return study.Trials(rows, predictions, truth, int(np.argmin(right)))


def test_regret_is_measured_on_what_the_largest_draw_leaves() -> None:
    found = study.regrets(_pair([0.2, 0.9, 0.5]), (0, 10, 400), draws=50)
    # Of 1000 inputs 600 are left: the best is right on 90 % of them on average, what the score takes on 20 %.
    for way in found.values():
        assert way.shape == (50, 3)
        assert way[:, 0].mean() == pytest.approx(70, abs=1)
    assert (found[study.FREE][:, 0] == found[study.FREE][:, 2]).all()  # the same test set for all numbers of labels
    assert (found[study.LABELS][:, 2] == 0).all()
    assert (found[study.BOTH][:, 2] == 0).all()
    assert found[study.BOTH][:, 1].mean() < 70


def test_intervals_over_draws_cover_the_mean_as_a_normal_one_does() -> None:
    rng = np.random.default_rng(0)
    values = np.array([[0.0], [4.0]]) + rng.normal(size=(2, 400))
    half = 1.96 * np.sqrt(2 / 400) / 2  # of a mean over two pairs of means over 400 draws
    assert study.over_draws(values) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_intervals_over_pairs_are_students(monkeypatch: pytest.MonkeyPatch) -> None:
    def regrets(pair: float, numbers: list[int], draws: int) -> dict[str, np.ndarray]:
        free, labels = np.full((draws, len(numbers)), pair), np.zeros((draws, len(numbers)))
        return {study.FREE: free, study.LABELS: labels, study.BOTH: labels}

    monkeypatch.setattr(study, "regrets", regrets)
    low, high = stats.t.interval(0.95, 2, loc=-2.0, scale=1 / 3**0.5)  # of −1, −2 and −3 points
    three = study.tables({Pair("a", str(i)): float(i) for i in (1, 2, 3)}, [0, 10], 5)  # type: ignore[misc]
    assert f"-2.00 ({low:.2f} to {high:.2f})" in three
    two = study.tables({Pair("a", str(i)): float(i) for i in (1, 2)}, [0, 10], 5)  # type: ignore[misc]
    assert "-1.50 (too few pairs)" in two


def test_without_labels_cells_choose_by_what_experiments_choose_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By information maximisation the odd one of the classical trials; auto takes one on which all others agree.
    runs = [
        Run("jda", *PAIRS[0], {"mu": mu}, [(50.0, score, 1.0)], predicted=predicted)
        for mu, score, predicted in ((0.1, 1.0, [0, 1, 2]), (1.0, 2.0, [0, 1, 2]), (10.0, 3.0, [1, 1, 0]))
    ]
    path = experiment(tmp_path, runs, family={"jda": "shallow"})
    monkeypatch.setattr(study, "_labels", lambda *_: np.array([0, 1, 2]))
    (pair,) = study.trials(path, None, tmp_path).values()
    assert pair.rows["id"].iloc[pair.free] != runs[2].trial.id
