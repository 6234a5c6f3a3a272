"""The study of what a few labels buy: its draws, its test set and its intervals."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import labels as study


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


def test_intervals_cover_the_mean_as_a_normal_one_does_and_are_wider_over_pairs() -> None:
    rng = np.random.default_rng(0)
    values = np.array([[0.0], [4.0]]) + rng.normal(size=(2, 400))
    low, high = study.interval(values, over_pairs=False)
    half = 1.96 * np.sqrt(2 / 400) / 2  # of a mean over two pairs of means over 400 draws
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    low, high = study.interval(values, over_pairs=True)
    assert low < 0.2
    assert high > 3.8
