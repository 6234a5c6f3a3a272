"""What a few labels buy when trials are chosen: ``python -m benchmarks.labels results/NAME/ledger.sqlite …``.

Regret to the best trial of any method on a pair, in points, against the number of labels of the target that choose:
without labels (the recommendation's rule, inside cells what experiments choose by), by the labels alone, and by both
(``labels(N, prior)``). Labels are drawn of the target's training samples, as stored predictions and the data's labels
allow to do many times. Draws are nested, and every trial is scored on what the largest draw leaves, so that all numbers
of labels share one test set. No trial is run.

Intervals are 95 % ones: over draws by bootstrap, for these pairs; and over pairs by Student's t of the pairs' means,
for others like them.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tabulate import tabulate

from transfer_sweep.reports import gain, recommendation, results, selection
from transfer_sweep.reports.gain import Interval
from transfer_sweep.reports.label_posterior import PRIOR, Prior
from transfer_sweep.reports.ledger.records import Pair, planned
from transfer_sweep.reports.results import Results
from transfer_sweep.sweep import environment
from transfer_sweep.sweep.trial.saved_model import dataset_of
from transfer_sweep.sweep.trial.task import drawn

NUMBERS = (0, 10, 25, 50, 100, 200)
FREE, LABELS, BOTH = "no labels", "labels", "labels and prior"
RESAMPLES = 2000

GRID: Mapping[str, Sequence[Any]] = {
    "deep": list(itertools.product((0.0, 0.2, 0.4, 0.6, 0.8), (0.1, 0.3, 0.5))),
    "classical": list(itertools.product((0.0, 0.2, 0.4), (0.1, 0.2, 0.4))),
    "beside_deep": list(itertools.product((0.0, -1.0, -2.0), (0.5, 1.0, 2.0))),
    "scales": [(scale,) for scale in (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)],
}
"""Values of the prior whose evidence is compared, each with the others as they are."""


@dataclass(frozen=True)
class Trials:
    """The trials of a pair that compete.

    Attributes:
        rows: of them, those that did not collapse unless all did.
        predictions: (T, N) classes that they predict.
        labels: (N,) true ones; -1 of none.
        free: which of them the recommendation's rule takes.
    """

    rows: pd.DataFrame
    predictions: NDArray[np.integer]
    labels: NDArray[np.integer]
    free: int

    @property
    def right(self) -> NDArray[np.bool_]:
        """(T, n) whether they are right on each labelled input."""
        known = self.labels >= 0
        right: NDArray[np.bool_] = np.equal(self.predictions[:, known], self.labels[known])
        return right


def trials(path: Path, data_root: Path | None, cache: Path) -> dict[Pair, Trials]:
    """The trials of each pair of a ledger that stored their predictions."""
    experiment = results.read(path, selection.AUTO)
    pool = recommendation.competitors(experiment)
    free = {pair: ranking.choices[0].row["id"] for pair, ranking in recommendation.rankings(experiment).items()}
    found = {}
    for key, rows in pool.groupby(["source", "target"], sort=False):
        pair = Pair(*map(str, key))
        sound = rows[rows["predicted_classes"] > selection.COLLAPSED]
        stored = {i: experiment.predictions(trial) for i, trial in (sound if len(sound) else rows)["id"].items()}
        predictions = {i: each.classes for i, each in stored.items() if each is not None}
        kept = rows.loc[list(predictions)]
        labels = _labels(experiment, kept, pair, data_root, cache)
        place = int(np.flatnonzero(kept["id"] == free[pair])[0])
        found[pair] = Trials(kept, np.array(list(predictions.values())), labels, place)
    return found


def _labels(
    experiment: Results, rows: pd.DataFrame, pair: Pair, data_root: Path | None, cache: Path
) -> NDArray[np.integer]:
    (trial,) = planned(rows.head(1))
    paths = {name: Path(where) for name, where in experiment.experiment.get("paths", {}).items()}
    samples = drawn(dataset_of(trial, data_root, cache, None, paths).load(pair.target), trial.seed).train
    return np.where(samples.labelled, samples.labels, -1)


def regrets(pair: Trials, numbers: Sequence[int], draws: int, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """Way of choosing → (draws, numbers) regret in points of what it chooses.

    Args:
        pair: its trials.
        numbers: of labels, rising.
        draws: how many.
        seed: of the draws.
    """
    rng, right = np.random.default_rng(seed), pair.right
    posterior = selection.label_posterior(pair.rows, pair.predictions)
    # Equal accuracies are decided by the label-free score, as in selection.choose.
    place = selection.scores(pair.rows, selection.DEFAULT).rank(method="first").to_numpy() / len(pair.rows)
    found = {way: np.zeros((draws, len(numbers))) for way in (FREE, LABELS, BOTH)}
    for draw in range(draws):
        order = rng.permutation(right.shape[1])
        scored = 100 * right[:, order[numbers[-1] :]].mean(axis=1)
        for i, number in enumerate(numbers):
            seen = right[:, order[:number]]
            chosen = {FREE: pair.free, LABELS: pair.free, BOTH: pair.free}
            if number:
                chosen |= {
                    LABELS: int((seen.sum(axis=1) + place / 2).argmax()),
                    BOTH: int(posterior.given(seen).means.argmax()),
                }
            for way, trial in chosen.items():
                found[way][draw, i] = scored.max() - scored[trial]
    return found


def over_draws(values: NDArray[np.float64], seed: int = 0) -> Interval:
    """95 % bootstrap interval of the mean of (pairs, draws) values over the draws, each pair with draws of its own."""
    rng, (pairs, draws) = np.random.default_rng(seed), values.shape
    means = np.zeros(RESAMPLES)
    for pair in values:
        means += pair[rng.integers(0, draws, (RESAMPLES, draws))].mean(axis=1) / pairs
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(low), float(high))


def tables(found: Mapping[Pair, Trials], numbers: Sequence[int], draws: int) -> str:
    """Regret by way of choosing and number of labels, and what the prior changes, as markdown."""
    by_pair = [regrets(pair, numbers, draws) for pair in found.values()]
    values = {way: np.array([each[way] for each in by_pair]) for way in by_pair[0]}  # (pairs, draws, numbers)

    def cell(each: NDArray[np.float64], over_pairs: bool = False) -> str:
        found = gain.over_pairs(each.mean(axis=1)) if over_pairs else over_draws(each)
        return f"{each.mean():.2f} ({'too few pairs' if found is None else f'{found.low:.2f} to {found.high:.2f}'})"

    regret = [[way, *(cell(each[:, :, i]) for i in range(len(numbers)))] for way, each in values.items()]
    compared = [
        [f"{BOTH} − {other}", over, *(cell(values[BOTH][:, :, i] - values[other][:, :, i], pairs) for i in shown)]
        for other in (FREE, LABELS)
        for over, pairs in (("draws", False), ("pairs", True))
        for shown in [range(1, len(numbers))]
    ]
    heads = [str(number) for number in numbers]
    return "\n\n".join(
        [
            tabulate(regret, ["labels", *heads], "github", disable_numparse=True),
            tabulate(compared, ["difference", "interval over", *heads[1:]], "github", disable_numparse=True),
        ]
    )


def evidence(found: Mapping[Pair, Trials]) -> str:
    """How likely all pairs' labels are under other values of the prior, as markdown: where its values are from."""

    def of(prior: Prior) -> float:
        judged = (
            selection.label_posterior(pair.rows, pair.predictions, prior).given(pair.right) for pair in found.values()
        )
        return sum(each.evidence for each in judged)

    own, table = of(PRIOR), []
    for name, grid in GRID.items():
        gains = {str(value): of(dataclasses.replace(PRIOR, **{name: value})) - own for value in grid}
        order = sorted(gains.items(), key=lambda item: -item[1])
        table.append([name, str(getattr(PRIOR, name)), "; ".join(f"{value}: {gain:+.1f}" for value, gain in order[:6])])
    return tabulate(table, ["of the prior", "used", "log evidence beside that"], "github", disable_numparse=True)


def main() -> None:
    """Print the tables of each ledger."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledgers", type=Path, nargs="+")
    parser.add_argument("--labels", type=int, nargs="+", default=list(NUMBERS), help="numbers of labels, rising")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--evidence", action="store_true", help="compare values of the prior over all ledgers instead")
    parser.add_argument("--data-root", type=Path, default=os.environ.get("SWEEP_DATA_ROOT"))
    parser.add_argument("--cache", type=Path, default=environment.cache_folder())
    given = parser.parse_args()
    root = None if given.data_root is None else Path(given.data_root)
    every: dict[Pair, Trials] = {}
    for path in given.ledgers:
        found = trials(path, root, given.cache)
        name = path.resolve().parent.name
        if given.evidence:
            every |= {Pair(f"{name} {pair.source}", pair.target): each for pair, each in found.items()}
            continue
        enough = {pair: each for pair, each in found.items() if each.right.shape[1] >= 2 * given.labels[-1]}
        print(f"{name}: {len(enough)} pairs, {sum(len(each.rows) for each in enough.values())} trials")
        for pair in found.keys() - enough.keys():
            print(f"left out: {pair}, with fewer than {2 * given.labels[-1]} labelled samples")
        if enough:
            print(f"\n{tables(enough, given.labels, given.draws)}\n")
    if every:
        print(evidence(every))


if __name__ == "__main__":
    main()
