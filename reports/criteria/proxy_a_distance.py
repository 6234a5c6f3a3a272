"""The proxy A-distance: how well a linear classifier tells two domains apart. A measure, not a criterion."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

COSTS = np.logspace(-5, 4, 10)
"""C of the SVMs, as in Ganin et al. 2016's code."""

_STEPS = 100_000  # of libsvm; costs at which it takes more are not those that generalise best


def proxy_a_distance(source: NDArray[Any] | csr_array, target: NDArray[Any] | csr_array, seed: int = 0) -> float:
    """PAD = 2 (1 − 2ε): 0 where nothing tells the domains apart, 2 where a linear classifier always does.

    Half of each domain trains linear SVMs, ε is the lowest error of any of them on the other half, that of the
    opposite answer counted where it is lower (Ben-David et al. 2007, Analysis of Representations for Domain
    Adaptation, NeurIPS; as in Ganin et al. 2016, JMLR 17, section 5.1.5). ε is the best of ten on the samples that
    choose it, hence a little too low.

    Args:
        source, target: (n_s, d) and (n_t, d), arrays or CSR matrices.
        seed: of the halves.

    Returns:
        In [0, 2]; NaN for fewer than two samples in a domain or values that are not all finite.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.svm import SVC, LinearSVC  # noqa: PLC0415

    parts = [np.asarray(x.data if scipy.sparse.issparse(x) else x) for x in (source, target)]
    if min(source.shape[0], target.shape[0]) < 2 or not all(np.isfinite(part).all() for part in parts):
        return math.nan
    rng = np.random.default_rng(seed)
    halves = [np.array_split(rng.permutation(x.shape[0]), 2) for x in (source, target)]
    (train, domain), (test, truth) = (
        (_stack(source[s], target[t]), np.repeat([0, 1], [len(s), len(t)])) for s, t in zip(*halves, strict=True)
    )
    if train.shape[1] > train.shape[0]:  # inner products are fewer than features
        models: list[Any] = [SVC(C=cost, kernel="precomputed", max_iter=_STEPS) for cost in COSTS]
        test, train = _dense(test @ train.T), _dense(train @ train.T)
    else:
        models = [LinearSVC(C=cost, dual=False) for cost in COSTS]
        train, test = _dense(train), _dense(test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        errors = [float((model.fit(train, domain).predict(test) != truth).mean()) for model in models]
    return 2 * (1 - 2 * min(min(error, 1 - error) for error in errors))


def _stack(*parts: NDArray[Any] | csr_array) -> Any:
    sparse = scipy.sparse.issparse(parts[0])
    return scipy.sparse.vstack(parts, format="csr") if sparse else np.vstack(parts).astype(np.float32)


def _dense(values: Any) -> NDArray[np.float64]:
    return np.asarray(values.toarray() if scipy.sparse.issparse(values) else values, dtype=np.float64)
