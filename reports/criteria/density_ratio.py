"""Importance weights: how much more often the target has a sample like this than the source."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.reports.criteria.subsample import subsample

# In a few hundred dimensions domains can often be told apart without error, and the ratio is then 0 or ∞ everywhere
# but for the penalty. A fixed one is too weak for some features and much too strong for others.
_COSTS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_STEPS = 100
_HELD_OUT = 4  # one sample in so many
_FEW = 2 * _HELD_OUT  # with fewer samples of a domain nothing is held out


def density_ratio(source: NDArray[Any], target: NDArray[Any], at: NDArray[Any]) -> NDArray[np.float64]:
    """The density ratio w(x) = p_target(x) / p_source(x) of features, by logistic regression between the domains.

    Its penalty is the strongest from which on a weaker one makes a held-out quarter of both domains less likely; then
    it is fitted to all. It looks at most at :data:`~.subsample.MOST` samples of a domain. Source: Bickel et al. 2007,
    Discriminative Learning for Differing Training and Test Distributions, ICML; how the penalty is chosen is ours.

    Args:
        source, target: (n_s, d) and (n_t, d) features of both domains.
        at: (n, d) features at which to evaluate it.

    Returns:
        (n,) w = (n_s / n_t) · P(target | x) / P(source | x), the form of You et al. 2019, equation 6; all NaN where a
        feature is not finite.
    """
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    if not all(np.isfinite(features).all() for features in (source, target, at)):
        return np.full(len(at), np.nan)
    of_each = [np.asarray(features[subsample(len(features))], dtype=np.float64) for features in (source, target)]
    domain = np.repeat([0, 1], [len(features) for features in of_each])
    scaler = StandardScaler().fit(np.vstack(of_each))
    log_odds = _fit(scaler.transform(np.vstack(of_each)), domain, scaler.transform(np.asarray(at, dtype=np.float64)))
    with np.errstate(over="ignore"):
        return np.asarray(len(of_each[0]) / len(of_each[1]) * np.exp(log_odds), dtype=np.float64)


def _fit(features: NDArray[np.float64], domain: NDArray[np.int64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) log odds of the second domain at (n, d) ``at``; each fit begins where the last one ended."""
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.metrics import log_loss  # noqa: PLC0415
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    classifier = LogisticRegression(C=_COSTS[0], max_iter=_STEPS, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is a penalty of its own
        if np.bincount(domain, minlength=2).min() >= _FEW:
            learn, held, learn_domain, held_domain = train_test_split(
                features, domain, test_size=1 / _HELD_OUT, random_state=0, stratify=domain
            )
            best, cost = np.inf, _COSTS[0]
            for candidate in _COSTS:
                classifier.set_params(C=candidate).fit(learn, learn_domain)
                loss = log_loss(held_domain, classifier.predict_proba(held))
                if loss >= best:
                    break
                best, cost = loss, candidate
            classifier.set_params(C=cost)
        classifier.fit(features, domain)
    return np.asarray(classifier.decision_function(at), dtype=np.float64)


def weighting_is_defined(logits: NDArray[Any], weights: NDArray[np.float64]) -> bool:
    """Whether a weighted risk of (n, K) logits has a value: two samples or more, and all numbers finite."""
    return len(logits) >= 2 and bool(np.isfinite(logits).all() and np.isfinite(weights).all())
