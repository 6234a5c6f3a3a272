"""TCA and JDA, ours against the textbook's dense solver and skada's TCA: seconds and accuracy, in one run.

The textbook forms the n×n matrices M and H and hands (KMKᵀ + μI, KHKᵀ) to a general, non-symmetric eigensolver, as
the code that goes around with Long et al. 2013 does. All of them see the same samples, settings and 1-NN.

``OMP_NUM_THREADS=1 python -m benchmarks.jda --data-root PATH [--source caltech --target amazon]``
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from skada import TransferComponentAnalysisAdapter
from sklearn.neighbors import KNeighborsClassifier
from tabulate import tabulate
from threadpoolctl import threadpool_info

from transfer_sweep.algorithms.base import Task
from transfer_sweep.algorithms.shallow.jda import JDA, JDAParams
from transfer_sweep.algorithms.shallow.tca import TCA, TCAParams
from transfer_sweep.datasets.base import Samples
from transfer_sweep.datasets.office_caltech10 import OfficeCaltech10

Labels = NDArray[np.int64]


def unit_rows(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (n, m), scaled to length one."""
    scaled: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def textbook(source: Samples, target: Samples, n_components: int, mu: float, iterations: int, linear: bool) -> Labels:
    """Predictions (m,) of JDA, written as Algorithm 1 of Long et al. 2013; with one iteration it is TCA."""
    samples = unit_rows(np.vstack([source.inputs, target.inputs]).astype(float))
    kernel = samples @ samples.T if linear else samples.T
    n, n_source = len(samples), len(source)
    centring = np.eye(n) - np.ones((n, n)) / n
    marginal = np.concatenate([np.full(n_source, 1 / n_source), np.full(n - n_source, -1 / (n - n_source))])
    predicted: Labels | None = None
    for _ in range(iterations):
        mmd = np.outer(marginal, marginal)
        if predicted is not None:
            for c in np.intersect1d(source.labels, predicted):
                e = np.concatenate([source.labels == c, np.zeros(n - n_source)]) / (source.labels == c).sum()
                e -= np.concatenate([np.zeros(n_source), predicted == c]) / (predicted == c).sum()
                mmd += np.outer(e, e)
        mmd /= np.linalg.norm(mmd)
        left = kernel @ mmd @ kernel.T + mu * np.eye(len(kernel))
        values, vectors = scipy.linalg.eig(left, kernel @ centring @ kernel.T)
        components = np.real(vectors[:, np.argsort(np.where(np.isfinite(values), np.real(values), np.inf))])
        embedded = unit_rows(kernel.T @ components[:, :n_components])
        predicted = nearest(embedded, source.labels)
    assert predicted is not None
    return predicted


def nearest(embedded: NDArray[np.float64], labels: Labels) -> Labels:
    """1-NN predictions for the samples after the labelled ones."""
    model = KNeighborsClassifier(1, algorithm="brute").fit(embedded[: len(labels)], labels)
    predicted: Labels = model.predict(embedded[len(labels) :])
    return predicted


def skada_tca(source: Samples, target: Samples, n_components: int, mu: float) -> Labels:
    """Predictions (m,) of skada's TCA, whose μ weighs the MMD matrix, not scaled to norm one, instead."""
    samples = unit_rows(np.vstack([source.inputs, target.inputs]).astype(float))
    domains = np.concatenate([np.ones(len(source)), -np.ones(len(target))])
    norm = 1 / len(source) + 1 / len(target)  # ‖eeᵀ‖_F = ‖e‖²
    adapter = TransferComponentAnalysisAdapter(kernel="linear", n_components=n_components, mu=1 / (mu * norm))
    return nearest(unit_rows(adapter.fit_transform(samples, sample_domain=domains)), source.labels)


def ours(cls: type[TCA], params: TCAParams, source: Samples, target: Samples) -> Labels:
    """Predictions (m,) of our TCA or JDA."""
    method = cls(Task(source, None, target.inputs, num_classes=len(OfficeCaltech10.classes)), params)
    for _ in range(cls.budget(params, 1)):
        method.fit_epoch()
    predicted: Labels = method.predict(target.inputs).logits.argmax(1)
    return predicted


def measure(run: Callable[[], Labels], labels: Labels, repeats: int) -> tuple[float, float]:
    """Best seconds of so many repeats, and accuracy in percent."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        predicted = run()
        seconds.append(time.perf_counter() - start)
    return min(seconds), 100 * float((predicted == labels).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-root", type=Path, default=os.environ.get("SWEEP_DATA_ROOT"), help="folder of the data")
    parser.add_argument("--source", default="caltech", choices=OfficeCaltech10.domains)
    parser.add_argument("--target", default="amazon", choices=OfficeCaltech10.domains)
    parser.add_argument("--components", type=int, default=100)
    parser.add_argument("--mu", type=float, default=1.0)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5, help="of ours; the others run once")
    args = parser.parse_args()
    if args.data_root is None:
        parser.error("name the data root with --data-root or SWEEP_DATA_ROOT")

    dataset = OfficeCaltech10(Path(args.data_root))
    source, target = dataset.load(args.source).train, dataset.load(args.target).train
    k, mu = args.components, args.mu
    jda = JDAParams(n_components=k, mu=mu, iterations=args.iterations)
    runs: list[tuple[str, str, Callable[[], Labels], int]] = [
        ("JDA", "ours", lambda: ours(JDA, jda, source, target), args.repeats),
        ("JDA", "textbook", lambda: textbook(source, target, k, mu, args.iterations, linear=False), 1),
        ("TCA", "ours", lambda: ours(TCA, TCAParams(n_components=k, mu=mu), source, target), args.repeats),
        ("TCA", "textbook", lambda: textbook(source, target, k, mu, 1, linear=False), 1),
        (
            "TCA, linear kernel",
            "ours",
            lambda: ours(TCA, TCAParams(n_components=k, mu=mu, kernel="linear"), source, target),
            args.repeats,
        ),
        ("TCA, linear kernel", "skada", lambda: skada_tca(source, target, k, mu), 1),
    ]
    rows, reference = [], 1.0
    for method, implementation, run, repeats in runs:
        seconds, accuracy = measure(run, target.labels, repeats)
        if implementation == "ours":
            reference = seconds
        rows.append([method, implementation, f"{seconds:.2f}", f"{seconds / reference:.1f}", f"{accuracy:.2f}"])
    threads = max(library["num_threads"] for library in threadpool_info())
    print(
        f"{args.source} → {args.target}: {len(source)} + {len(target)} samples, {source.inputs.shape[1]} features, "
        f"{k} components, μ {mu:g}, {args.iterations} iterations of JDA, {threads} thread(s)\n"
    )
    print(tabulate(rows, ["method", "by", "seconds", "× ours", "accuracy %"], tablefmt="github"))


if __name__ == "__main__":
    main()
