"""mSDA of a pair of domains: seconds, and the denoiser of a layer against the textbook's general solver, in one run.

The textbook forms Q and P and solves W Q = P by LU, in float64, as the code that goes around with Chen et al. 2012
does; ours takes one symmetric inverse. Both learn from the same 4000 reviews.

``OMP_NUM_THREADS=1 python -m benchmarks.msda --data-root PATH [--source dvd --target electronics]``
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from tabulate import tabulate
from threadpoolctl import threadpool_info

from transfer_sweep.algorithms.representations.msda import MSDAParams, denoiser, msda, span_coordinates
from transfer_sweep.datasets.amazon_reviews import FEATURES, AmazonReviews

Matrix = NDArray[np.floating[Any]]


def textbook(samples: Matrix, noise: float, ridge: float) -> Matrix:
    """(m, m + 1): W and the bias, W = P (Q + ridge)⁻¹."""
    m = samples.shape[1]
    extended = np.hstack([samples, np.ones((len(samples), 1))])
    scatter = extended.T @ extended
    keep = np.append(np.full(m, 1 - noise), 1.0)
    q = scatter * np.outer(keep, keep)
    np.fill_diagonal(q, keep * np.diag(scatter))
    q[np.arange(m), np.arange(m)] += ridge * np.diag(scatter)[:m].mean()
    return np.linalg.solve(q.T, (scatter[:m] * keep).T).T


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came out."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-root", type=Path, default=os.environ.get("SWEEP_DATA_ROOT"), help="folder of the data")
    parser.add_argument("--source", default="dvd", choices=AmazonReviews.domains)
    parser.add_argument("--target", default="electronics", choices=AmazonReviews.domains)
    parser.add_argument("--layers", type=int, default=5)
    args = parser.parse_args()
    if args.data_root is None:
        parser.error("name the data root with --data-root or SWEEP_DATA_ROOT")

    reviews = AmazonReviews(Path(args.data_root))
    domains = [reviews.load(name) for name in (args.source, args.target)]
    training = csr_array(vstack([domain.train.inputs for domain in domains], format="csr"))
    tests = [domain.test.inputs for domain in domains if domain.test is not None]
    params = MSDAParams(layers=args.layers)
    samples = training.toarray().astype(np.float64)

    fast, ours = timed(partial(denoiser, samples, params.noise, params.ridge))
    slow, expected = timed(partial(textbook, samples, params.noise, params.ridge))
    difference = np.abs(np.column_stack(ours) - expected).max()
    whole, stacked = timed(partial(msda, training, tests, params))
    turning, turned = timed(partial(span_coordinates, stacked, training.shape[0]))
    rows = [
        ["a layer's denoiser", "ours", f"{fast:.1f}", "1.0"],
        ["a layer's denoiser", "textbook", f"{slow:.1f}", f"{slow / fast:.1f}"],
        [f"mSDA of {args.layers} layers, {len(stacked)} reviews", "ours", f"{whole:.1f}", f"{whole / fast:.1f}"],
        [f"… in coordinates of its span, {turned.shape[1]}", "ours", f"{turning:.1f}", f"{turning / fast:.1f}"],
    ]
    threads = max(library["num_threads"] for library in threadpool_info())
    print(
        f"{args.source} and {args.target}: {training.shape[0]} training reviews, {FEATURES} features, {threads} "
        f"thread(s); the two denoisers differ by {difference:.1g} at most\n"
    )
    print(tabulate(rows, ["what", "by", "seconds", "× a denoiser"], tablefmt="github"))


if __name__ == "__main__":
    main()
