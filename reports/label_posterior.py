"""Which trial of a pair is best, given a few labels of its target and a label-free score as prior.

All trials of a pair predict the same target inputs, and are right or wrong on the same few labelled ones. Their
accuracies a (T,) are therefore judged together, by a Gaussian model. Two things are known without labels: a score, and
the share of inputs on which two trials agree, A_jk (a Gram matrix of one-hot predictions, so positive semi-definite).

*Evidence.* c, the mean over n labelled inputs of who is right: c | a ~ N(a, ρ/(2n) A). Two trials differ in being right
only where they predict differently, and of those who differ one is right with probability ρ (else neither is), so the
variance of a difference is at most ρ D_jk / n with D = 1 - A; ``ρ/2 · A`` is the covariance that gives it. What all
trials have in common (an easy sample) cancels out of differences, and no choice depends on it.

*Prior.* a = μ + s (b x + γ o + g). The level μ is unknown. The truth is one more vector of predictions, and varies in
which trials it agrees with as any trial does: g ~ N(0, K), with K the covariance, over the pair's trials m, of the
agreements A_·m, of mean variance 1. So near trials have near accuracies, differences grow with D (not with its square
root, as independent errors would have it), and they are largest along what sets the trials apart. x are normal scores
of the ranks by the label-free score, among deep and among classical trials apart since their scores have no common
scale; o is 1 for a classical trial beside deep ones.

*Hyperparameters.* See :class:`Prior`. The scale s is integrated over by the likelihood of the labels, and so are the
slope b of each family and the offset γ, in closed form: where labels contradict the score on this pair, the score
counts for less. ``docs/labels_for_choosing.md`` says what their values come from.

The trial with the highest posterior mean is the one with the least expected regret. Without labels the model ranks as
the score does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import norm, rankdata

_LEVEL = 1.0  # prior variance of μ: any accuracy
_JITTER = 1e-6  # trials that predict the same


@dataclass(frozen=True)
class Prior:
    """What is known of a pair before any label of it. Pairs of numbers are a mean and a standard deviation.

    Attributes:
        scales: of s, the standard deviation of accuracies that the score does not explain; each as likely.
        deep: of b, how much better a deep trial is that information maximisation ranks a standard deviation higher;
            in units of s, as the next two.
        classical: the same of a classical trial and the class-cluster criterion.
        beside_deep: of γ, what classical trials have beside deep ones.
        either_right: of ρ the mean, and how many labels' worth that is.
    """

    scales: tuple[float, ...] = (0.01, 0.02, 0.04, 0.08)
    deep: tuple[float, float] = (0.4, 0.3)
    classical: tuple[float, float] = (0.2, 0.2)
    beside_deep: tuple[float, float] = (-1.0, 1.0)
    either_right: tuple[float, float] = (0.7, 1.0)


PRIOR = Prior()
"""What the recorded runs say."""


class Judged(NamedTuple):
    """What labels say of a pair's trials.

    Attributes:
        means: (T,) posterior means of their accuracies, in [0, 1] up to a common constant.
        evidence: log of the probability density of who is right under the model.
    """

    means: NDArray[np.float64]
    evidence: float


class LabelPosterior:
    """The accuracies of a pair's trials.

    Args:
        predictions: (T, N) classes that T trials predict for the same N unlabelled target inputs.
        score: (T,) of the trials without labels, higher is better; compared among deep and among classical ones.
        deep: (T,) which trials are deep ones.
        prior: what else is known.
    """

    def __init__(
        self,
        predictions: NDArray[np.integer],
        score: NDArray[np.float64],
        deep: NDArray[np.bool_],
        prior: Prior = PRIOR,
    ) -> None:
        self._prior = prior
        self._agreement = agreement(predictions)
        effects = [
            (prior.deep, _normal_scores(score, deep)),
            (prior.classical, _normal_scores(score, ~deep)),
            (prior.beside_deep, (~deep if deep.any() else np.zeros(len(deep))).astype(float)),
        ]
        self._expected = sum((mean * effect for (mean, _), effect in effects), np.zeros(len(deep)))
        self._covariance = _profiles(self._agreement)
        for (_, spread), effect in effects:
            self._covariance += spread**2 * np.outer(effect, effect)

    def given(self, right: NDArray[np.bool_]) -> Judged:
        """What n labels say.

        Args:
            right: (T, n) whether a trial is right on each of the labelled inputs; n may be 0.
        """
        trials, n = right.shape
        if not n:
            return Judged(float(np.mean(self._prior.scales)) * self._expected, 0.0)
        found, level = right.mean(axis=1), float(right.mean())
        noise = self._either_right(right) / (2 * n) * self._agreement + _JITTER * np.eye(trials)
        means, evidence = [], []
        for scale in self._prior.scales:
            expected = level + scale * self._expected
            covariance = scale**2 * self._covariance + _LEVEL
            factor = cho_factor(covariance + noise, lower=True)
            surprise = found - expected
            explained = cho_solve(factor, surprise)
            means.append(expected + covariance @ explained)
            evidence.append(-surprise @ explained / 2 - np.log(np.diag(factor[0])).sum())
        weights = np.exp(np.array(evidence) - max(evidence))
        total = max(evidence) + float(np.log(weights.mean())) - trials / 2 * float(np.log(2 * np.pi))
        return Judged(weights @ np.array(means) / weights.sum(), total)

    def _either_right(self, right: NDArray[np.bool_]) -> float:
        """ρ: where two trials differ, how often one of them is right; of labelled inputs and all pairs of trials."""
        share, (known, worth) = right.mean(axis=0), self._prior.either_right
        differ = 1 - float(self._agreement.mean())
        one_right = float((2 * share * (1 - share)).sum())
        expected = differ * (right.shape[1] + worth)
        return min(1.0, (one_right + known * worth * differ) / expected) if expected else 1.0


def agreement(predictions: NDArray[np.integer]) -> NDArray[np.float64]:
    """(T, N) classes → (T, T) shares of the N inputs on which two trials predict the same."""
    same: NDArray[np.float64] = np.zeros((len(predictions),) * 2)
    for k in np.unique(predictions):
        one_hot = (predictions == k).astype(np.float32)
        same += one_hot @ one_hot.T
    same /= predictions.shape[1]
    return same


def _profiles(agreement: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, T) covariance, over trials m, of the agreements with m, about their common level; of mean variance 1."""
    centred = agreement - agreement.mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    found: NDArray[np.float64] = centred @ centred.T
    variance = float(np.trace(found)) / len(found)
    if variance > 0:
        found /= variance
    return found


def _normal_scores(score: NDArray[np.float64], family: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(T,) normal scores of a family's ranks; 0 for other trials."""
    found = np.zeros(len(score))
    if family.any():
        found[family] = norm.ppf((rankdata(score[family]) - 0.5) / family.sum())
    return found
