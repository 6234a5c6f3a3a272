"""Importance weights: how much more often the target has a sample like this than the source."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Domains can be told apart without error in a few hundred dimensions, and the ratio is then 0 or ∞ everywhere: a
# strong penalty keeps it soft.
_COST = 1e-3
_STEPS = 50


def density_ratio(source: NDArray[Any], target: NDArray[Any], at: NDArray[Any]) -> NDArray[np.float64]:
    """The density ratio w(x) = p_target(x) / p_source(x) of features, by logistic regression between the domains.

    Source: Bickel et al. 2007, Discriminative Learning for Differing Training and Test Distributions, ICML.

    Args:
        source, target: (n_s, d) and (n_t, d) features of both domains.
        at: (n, d) features at which to evaluate it.

    Returns:
        (n,) w = (n_s / n_t) · P(target | x) / P(source | x), the form of You et al. 2019, equation 6; all NaN where a
        feature is not finite.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    if not all(np.isfinite(features).all() for features in (source, target, at)):
        return np.full(len(at), np.nan)
    domain = np.repeat([0, 1], [len(source), len(target)])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=_COST, max_iter=_STEPS))
    classifier.fit(np.vstack([source, target]).astype(np.float64), domain)
    log_odds = classifier.decision_function(np.asarray(at, dtype=np.float64))
    return np.asarray(len(source) / len(target) * np.exp(log_odds), dtype=np.float64)


def weighting_is_defined(logits: NDArray[Any], weights: NDArray[np.float64]) -> bool:
    """Whether a weighted risk of (n, K) logits has a value: two samples or more, and all numbers finite."""
    return len(logits) >= 2 and bool(np.isfinite(logits).all() and np.isfinite(weights).all())
