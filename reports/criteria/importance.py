"""Importance-weighted validation: source validation samples, weighted as if they came from the target.

A source sample counts by the density ratio w(x) = p_target(x) / p_source(x) of the learned features, which a
classifier between the domains estimates (Bickel et al. 2007, Discriminative Learning for Differing Training and Test
Distributions, ICML).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

# Domains can be told apart without error in a few hundred dimensions, and the ratio is then 0 or ∞ everywhere: a
# strong penalty keeps it soft.
_COST = 1e-3
_STEPS = 50


def density_ratio(source: NDArray[Any], target: NDArray[Any], at: NDArray[Any]) -> NDArray[np.float64]:
    """The density ratio target : source at some points, by logistic regression between the domains.

    Args:
        source, target: (n_s, d) and (n_t, d) features of both domains.
        at: (n, d) features at which to evaluate it.

    Returns:
        (n,) w = (n_s / n_t) · P(target | x) / P(source | x), the form of You et al. 2019, equation 6.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    domain = np.repeat([0, 1], [len(source), len(target)])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=_COST, max_iter=_STEPS))
    classifier.fit(np.vstack([source, target]).astype(np.float64), domain)
    log_odds = classifier.decision_function(np.asarray(at, dtype=np.float64))
    return np.asarray(len(source) / len(target) * np.exp(log_odds), dtype=np.float64)


def importance_weighted(logits: ArrayLike, labels: ArrayLike, weights: ArrayLike) -> dict[str, float]:
    """Minus the estimated target risk, from weighted source validation samples; higher is better.

    - ``iwcv``: −mean_i w_i ℓ_i, ℓ the 0-1 loss (Sugiyama et al. 2007, Covariate Shift Adaptation by Importance
      Weighted Cross Validation, JMLR 8).
    - ``dev``: −(mean_i w_i ℓ_i + η mean_i w_i − η), η = −Cov(wℓ, w) / Var(w): w as a control variate of mean 1; ℓ the
      cross-entropy, as in its authors' experiments (You et al. 2019, Towards Accurate Model Selection in Deep
      Unsupervised Domain Adaptation, ICML, section 4.3). Covariance and variance with ddof = 1; η = 0 where all
      weights are equal.

    Args:
        logits: (n, K) on source validation samples.
        labels: (n,) their class indices.
        weights: (n,) w.

    Returns:
        Both values; NaN where a logit or weight is not finite, or for fewer than two samples.
    """
    scores, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    weight = np.asarray(weights, dtype=np.float64)
    if len(scores) < 2 or not (np.isfinite(scores).all() and np.isfinite(weight).all()):
        return {"iwcv": math.nan, "dev": math.nan}
    wrong = scores.argmax(axis=1) != truth
    weighted = -weight * scipy.special.log_softmax(scores, axis=1)[np.arange(len(truth)), truth]
    variance = float(weight.var(ddof=1))
    eta = -float(np.cov(weighted, weight)[0, 1]) / variance if variance > 0 else 0.0
    risk = float(weighted.mean()) + eta * float(weight.mean()) - eta
    return {"iwcv": -float((weight * wrong).mean()), "dev": -risk}
