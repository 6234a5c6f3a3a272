"""Tests between methods against the worked example of Demšar 2006; importance against a closed form."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.support.small_ledger import PROTOCOL
from transfer_sweep.reports import statistics
from transfer_sweep.reports.document import plotting as figures
from transfer_sweep.reports.document.elements import Drawing
from transfer_sweep.reports.ledger.records import canonical

# Demšar 2006, table 6: AUC of C4.5 with its parameters m and cf tuned or not, on 14 data sets.
AUC = pd.DataFrame(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],  # printed 0.975 twice, ranked 2 and 3
        [0.957, 0.978, 0.946, 0.970],
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)


@pytest.fixture(scope="module")
def demsar() -> statistics.Comparison:
    found = statistics.compare(AUC)
    assert found is not None
    return found


def test_average_ranks_are_those_of_the_paper(demsar: statistics.Comparison) -> None:
    published = {"C4.5": 3.143, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}
    assert demsar.ranks == pytest.approx(published, abs=6e-4)
    assert list(demsar.ranks) == ["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]


def test_friedman_is_that_of_the_paper_after_its_correction_for_ties(demsar: statistics.Comparison) -> None:
    # The paper's 9.28 is without the correction: a tie of two costs 2³ − 2, the tie of four 4³ − 4.
    ties = 1 - (3 * (2**3 - 2) + (4**3 - 4)) / (14 * (4**3 - 4))
    assert demsar.friedman[0] * ties == pytest.approx(9.28, abs=0.01)
    assert demsar.differ


def test_the_critical_difference_is_that_of_the_paper(demsar: statistics.Comparison) -> None:
    assert demsar.critical_difference == pytest.approx(1.25, abs=0.005)
    # Even the best and the worst, 3.143 − 1.964 = 1.18 apart, are nearer than that.
    assert (demsar.nemenyi > statistics.ALPHA).all(axis=None)


def test_holm_multiplies_the_smallest_p_value_by_the_number_of_comparisons(demsar: statistics.Comparison) -> None:
    raw = {
        (a, b): stats.wilcoxon(AUC[a], AUC[b], zero_method="zsplit", method="exact").pvalue
        for i, a in enumerate(AUC)
        for b in list(AUC)[i + 1 :]
    }
    expected, last = {}, 0.0
    for left, (pair, p) in zip(range(6, 0, -1), sorted(raw.items(), key=lambda item: item[1]), strict=True):
        last = min(1.0, max(last, left * p))
        expected[pair] = last
    assert {pair: demsar.wilcoxon.loc[pair] for pair in raw} == pytest.approx(expected)


def accuracies(pairs: int, **offsets: float) -> pd.DataFrame:
    """Methods that differ by the same offset, and a little noise, on every pair."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=(pairs, len(offsets)))
    return pd.DataFrame(noise + list(offsets.values()), columns=list(offsets))


def test_one_method_is_better_than_another_only_where_the_test_says_so() -> None:
    found = statistics.compare(accuracies(12, good=80.0, same=80.0, bad=70.0))
    assert found is not None
    assert found.better_than("good") == found.better_than("same") == ["bad"]
    assert found.better_than("bad") == []


def test_with_few_pairs_no_difference_can_be_shown_however_large() -> None:
    few = statistics.compare(accuracies(5, good=90.0, fair=50.0, bad=10.0))
    assert few is not None
    assert few.differ
    assert not few.can_tell
    assert all(few.better_than(name) == [] for name in few.ranks)
    assert few.smallest_p == pytest.approx(stats.wilcoxon([1, 2, 3, 4, 5]).pvalue)


def test_methods_that_are_all_alike_do_not_differ() -> None:
    found = statistics.compare(pd.DataFrame({name: [50.0, 60.0, 70.0] for name in "abc"}))
    assert found is not None
    assert not found.differ
    assert found.better_than("a") == []


def test_methods_that_lack_a_pair_take_no_part() -> None:
    table = accuracies(6, a=1.0, b=2.0, c=3.0, d=4.0)
    table.loc[0, "b"] = np.nan
    found = statistics.compare(table)
    assert found is not None
    assert set(found.ranks) == {"a", "c", "d"}
    assert statistics.compare(table[["a", "b", "c"]]) is None


def test_the_diagram_names_every_method(demsar: statistics.Comparison, tmp_path: Path) -> None:
    figure = figures.critical_difference(demsar)
    texts = {text.get_text().strip() for text in figure.axes[0].texts}
    assert texts == {"C4.5+m+cf  2.0", "C4.5+m  2.0", "2.9  C4.5+cf", "3.1  C4.5"}
    bars = [line.get_xdata() for line in figure.axes[0].lines if line.get_linewidth() == 3]
    assert bars == [sorted(demsar.ranks.values())]  # in order: the same picture in every process
    figures.write(Drawing("cd", "", "", lambda: figure), tmp_path / "a" / "cd.png")
    assert (tmp_path / "a" / "cd.png").read_bytes().startswith(b"\x89PNG")


# --- importance ---


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
    found = statistics.importance(candidates(grid))
    assert found is not None
    assert found.explained == pytest.approx(1, abs=0.02)
    assert found.shares["lr"] == pytest.approx(2, abs=0.3)
    assert found.shares["kernel"] == pytest.approx(0, abs=0.02)
    assert list(found.shares) == ["lr", "kernel"]
    assert found.values == {"kernel": ["rbf", "primal"], "lr": [0.001, 0.01, 0.1]}
    assert found.trials == 36


def test_noise_explains_nothing_on_unseen_pairs() -> None:
    grid = {(lr, kernel): 0.0 for lr in (0.001, 0.01, 0.1) for kernel in ("rbf", "primal")}
    found = statistics.importance(candidates(grid, noise=1.0))
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
    assert statistics.importance(candidates(grid, pairs)) is None


def test_a_slice_is_the_mean_effect_of_each_value_on_each_pair() -> None:
    # Kernels add 0 and 2 points, which the mean over them leaves out; lr adds −4, 0 and 4 around the cell's average.
    grid = {(lr, kernel): 4.0 * i + 2 * j for i, lr in enumerate((0.1, 0.001, 0.01)) for j, kernel in enumerate("ab")}
    found = statistics.by_value(candidates(grid, pairs=2), "lr", [0.001, 0.01, 0.1])
    assert found.index.tolist() == [0, 1, 2]
    assert found.to_numpy() == pytest.approx(np.array([[0, 0], [4, 4], [-4, -4]]))
    assert statistics.by_value(candidates(grid, pairs=2), "kernel", ["a", "b"]).to_numpy() == pytest.approx(
        np.array([[-1, -1], [1, 1]])
    )
