"""The MMD matrices of TCA and JDA, as low-rank factors: M = EEᵀ."""

import numpy as np

from transfer_sweep.algorithms.shallow.jda import class_contrasts
from transfer_sweep.algorithms.shallow.tca import mean_contrast


def test_the_marginal_matrix_is_that_of_tca() -> None:
    # The matrix L of Pan et al. 2011: 1/n_s² within the source, 1/n_t² within the target, −1/(n_s n_t) across.
    contrast = mean_contrast(2, 3)
    within_source, within_target, across = np.full((2, 2), 1 / 4), np.full((3, 3), 1 / 9), np.full((2, 3), -1 / 6)
    np.testing.assert_allclose(contrast @ contrast.T, np.block([[within_source, across], [across.T, within_target]]))


def test_the_conditional_matrices_are_those_of_jda() -> None:
    # M_c of Long et al. 2013, written out entry by entry.
    source, target = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1, 2])
    both = np.concatenate([source, target])
    from_source = np.arange(9) < 4
    expected = np.zeros((9, 9))
    for c in range(3):
        counts = {True: (source == c).sum(), False: (target == c).sum()}
        for i in range(9):
            for j in range(9):
                if both[i] == both[j] == c:
                    sign = 1 if from_source[i] == from_source[j] else -1
                    expected[i, j] += sign / (counts[from_source[i]] * counts[from_source[j]])
    contrasts = class_contrasts(source, target, 3)
    np.testing.assert_allclose(contrasts @ contrasts.T, expected)


def test_a_class_that_one_domain_lacks_has_no_pair_of_means() -> None:
    contrasts = class_contrasts(np.array([0, 0, 1]), np.array([0, 2, 2]), 4)
    np.testing.assert_allclose(contrasts, np.array([[0.5, 0.5, 0, -1, 0, 0]]).T)


def test_the_trace_with_a_linear_embedding_is_the_distance_of_the_means() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(7, 3)), rng.normal(size=(5, 3))
    contrast = mean_contrast(7, 5)
    squared = float(((contrast.T @ np.vstack([source, target])) ** 2).sum())
    np.testing.assert_allclose(squared, ((source.mean(0) - target.mean(0)) ** 2).sum())
