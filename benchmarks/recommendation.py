"""What one recommendation a pair costs, by each of several rules: ``python -m benchmarks.recommendation FILES``.

The files are those of trials beside the reports of claimed runs (``docs/results/*.trials.csv.gz``), or ledgers
(``results/NAME/ledger.sqlite``): with stored predictions, trials can be compared with the ensemble of the best quarter,
too, and what the expected regret is calibrated on is printed. Every rule takes each cell's trial by ``auto``, and then
one of these. Regret is to the best trial of any method on the pair; rules see no target labels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.linear_model import QuantileRegressor
from tabulate import tabulate

from transfer_sweep.algorithms import registry
from transfer_sweep.reports import ensembles, expected_regret, recommendation, regret, results, selection
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.reports.recommendation import ANY, DEEP
from transfer_sweep.reports.selection import CLASSICAL

QUARTER = "quarter"
"""Agreement with the ensemble of the best quarter, where predictions are stored."""

Rule = Callable[[pd.DataFrame], "pd.Series[float]"]
"""The choices of a pair's cells → what they are ranked by."""


def by(*criteria: str) -> Rule:
    """The best by one criterion, or by the mean of ranks by several, of all methods."""

    def rank(choices: pd.DataFrame) -> pd.Series[float]:
        first, *others = (selection.scores(choices, each) for each in criteria)
        return sum((each.rank(pct=True) for each in others), start=first.rank(pct=True)) if others else first

    return rank


def deep(rule: Rule, otherwise: Rule) -> Rule:
    """One rule among deep methods where two ran or more, else another one among all."""

    def rank(choices: pd.DataFrame) -> pd.Series[float]:
        of_deep = choices["family"] != CLASSICAL
        return rule(choices[of_deep]).reindex(choices.index) if of_deep.sum() >= 2 else otherwise(choices)

    return rank


def finals(criterion: str) -> Rule:
    """The best deep method by information maximisation against the best classical one, both by one criterion."""

    def rank(choices: pd.DataFrame) -> pd.Series[float]:
        of_deep = choices["family"] != CLASSICAL
        sides = [(by(DEEP), choices[of_deep]), (by(criterion), choices[~of_deep])]
        best = [rule(side).idxmax() for rule, side in sides if len(side)]
        return by(criterion)(choices).where(choices.index.isin(best))

    return rank


def ours(choices: pd.DataFrame) -> pd.Series[float]:
    """The project's."""
    _, scores, competes = recommendation.compared(choices)
    return scores.where(competes)


PE, RN = "pair_ensemble", "reverse_neighbor"
RULES: dict[str, Rule] = {
    "information maximization, all methods": by(DEEP),
    "class cluster, all methods": by(ANY),
    "pair ensemble, all methods": by(PE),
    "ranks: information maximization, class cluster, pair ensemble, all methods": by(DEEP, ANY, PE),
    "deep by information maximization, else pair ensemble": deep(by(DEEP), by(PE)),
    "deep by BNM, else class cluster": deep(by("bnm"), by(ANY)),
    "deep by class cluster, else too": deep(by(ANY), by(ANY)),
    "deep by reverse neighbor, else class cluster": deep(by(RN), by(ANY)),
    "deep by pair ensemble, else class cluster": deep(by(PE), by(ANY)),
    "deep by ranks: information maximization, class cluster; else class cluster": deep(by(DEEP, ANY), by(ANY)),
    "deep by ranks: information maximization, pair ensemble; else class cluster": deep(by(DEEP, PE), by(ANY)),
    "deep by ranks: information maximization, class cluster, reverse neighbor; else class cluster": deep(
        by(DEEP, ANY, RN), by(ANY)
    ),
    "deep by agreement with the best quarter, else class cluster": deep(by(QUARTER), by(ANY)),
    "deep by ranks: information maximization, best quarter; else class cluster": deep(by(DEEP, QUARTER), by(ANY)),
    "deep by ranks: information maximization, class cluster, best quarter; else class cluster": deep(
        by(DEEP, ANY, QUARTER), by(ANY)
    ),
    "finals of best deep and best classical: class cluster": finals(ANY),
    "**deep by information maximization, else class cluster (ours)**": ours,
}


def of_file(path: Path) -> Iterable[tuple[Pair, pd.DataFrame, pd.DataFrame]]:
    """Each pair of a file of trials, its eligible trials and its cells' choices."""
    rows = regret.read(path, registry.names())
    return _by_pair(rows, selection.choose(rows, selection.AUTO))


def of_ledger(path: Path) -> Iterable[tuple[Pair, pd.DataFrame, pd.DataFrame]]:
    """As :func:`of_file`, of a ledger: with agreement of choices with the ensemble of the best quarter."""
    run = results.read(path, selection.AUTO)
    rows = recommendation.competitors(run)
    ensembles_of = ensembles.of_pairs(run, recommendation.recommend(run))
    for pair, of_pair, choices in _by_pair(rows, selection.choose(rows, selection.AUTO)):
        together = ensembles_of.get(pair)
        agreement = [
            np.nan if together is None or own is None else together.agreement(own.classes)
            for own in map(run.predictions, choices["id"])
        ]
        yield pair, of_pair, choices.assign(**{QUARTER: agreement})


def _by_pair(rows: pd.DataFrame, chosen: pd.DataFrame) -> Iterable[tuple[Pair, pd.DataFrame, pd.DataFrame]]:
    for key, choices in chosen.groupby(["source", "target"], sort=False):
        pair = Pair(*map(str, key))
        of_pair = rows[(rows["source"] == pair.source) & (rows["target"] == pair.target)]
        yield pair, selection.eligible(of_pair), choices


def regrets(path: Path) -> pd.DataFrame:
    """Regret of each rule (columns) on each pair (rows) of a run; of the mean over choices, too."""
    found = {}
    for pair, rows, choices in of_file(path) if path.name.endswith(regret.SUFFIX) else of_ledger(path):
        accuracies, best = choices["target_accuracy"], rows["target_accuracy"].max()
        usable = {rule: rank for rule, rank in RULES.items() if QUARTER in choices or "quarter" not in rule}
        picked = {rule: accuracies.iloc[int(rank(choices).argmax())] for rule, rank in usable.items()}
        found[pair] = {rule: best - picked.get(rule, np.nan) for rule in RULES} | {
            "a random method": best - accuracies.mean()
        }
    return pd.DataFrame(found).T


def calibration(paths: Iterable[Path]) -> pd.DataFrame:
    """Of each pair of these ledgers, how much the recommended trial disagrees with other choices, and its regret."""
    rows = []
    for path in paths:
        for pair, each in recommendation.recommend(results.read(path, selection.AUTO)).items():
            if np.isfinite(each.regret) and np.isfinite(each.agreement):
                rows.append((path.parent.name, str(pair), 100 - each.agreement, each.regret))
    return pd.DataFrame(rows, columns=["run", "pair", "disagreement", "regret"])


def fitted(pairs: pd.DataFrame) -> NDArray[np.float64]:
    """(2, 2) intercept and slope of regret on disagreement, none negative: of its mean, and of its 90th percentile."""
    design = np.column_stack([np.ones(len(pairs)), pairs["disagreement"]])
    mean, _ = nnls(design, pairs["regret"].to_numpy())
    most = QuantileRegressor(quantile=0.9, alpha=0).fit(pairs[["disagreement"]], pairs["regret"])
    return np.array([mean, [most.intercept_, most.coef_[0]]])


def main() -> None:
    """Print markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    files = parser.parse_args().files
    runs = {_name(path): regrets(path) for path in files}
    runs = {name: found for name, found in runs.items() if len(found)}  # of some, nothing is chosen
    table = []
    for rule in next(iter(runs.values())):
        means = [float(found[rule].mean()) for found in runs.values()]
        cells = [
            "–" if found[rule].isna().any() else f"{found[rule].mean():.2f} ({found[rule].max():.1f})"
            for found in runs.values()
        ]
        table.append((np.mean(means), [rule, *cells, f"{np.mean(means):.2f}", f"{np.max(means):.2f}"]))
    head = ["among the choices of a pair", *(f"{name}, {len(found)} pairs" for name, found in runs.items())]
    rows = [row for _, row in sorted(table, key=lambda each: (np.isnan(each[0]), each[0]))]
    print(tabulate(rows, [*head, "mean", "worst mean"], "github", disable_numparse=True), "\n")
    _print_calibration(calibration(path for path in files if not path.name.endswith(regret.SUFFIX)))


def _name(path: Path) -> str:
    return path.name.removesuffix(regret.SUFFIX) if path.name.endswith(regret.SUFFIX) else f"{path.parent.name}, ledger"


def _print_calibration(pairs: pd.DataFrame) -> None:
    """The fit to all of these pairs; and what the project's constants, and a fit to the others, say of each run."""
    if pairs.empty:
        return
    (mean, slope), (most, its_slope) = fitted(pairs)
    print(
        f"fitted to {len(pairs)} pairs, D percent of disagreement: mean {mean:.2f} + {slope:.3f} D, "
        f"nine in ten below {most:.2f} + {its_slope:.3f} D\n"
    )
    table = []
    for run, own in pairs.groupby("run", sort=False):
        said = [expected_regret.expected(100 - each) for each in own["disagreement"]]
        row = [run, len(own), own["disagreement"].mean(), own["regret"].mean(), own["regret"].max()]
        row += [
            np.mean([each.mean for each in said]),
            100 * np.mean(own["regret"].to_numpy() <= [e.most for e in said]),
        ]
        others = pairs[pairs["run"] != run]
        if len(others):
            (mean, slope), (most, its_slope) = fitted(others)
            row += [
                mean + slope * own["disagreement"].mean(),
                100 * (own["regret"] <= most + its_slope * own["disagreement"]).mean(),
            ]
        table.append([f"{each:.1f}" if isinstance(each, float) else each for each in row])
    head = ["run", "pairs", "disagreement, %", "regret", "worst", "expected", "below “at most”, %"]
    print(tabulate(table, [*head, "expected by the other runs", "below theirs, %"], "github", disable_numparse=True))


if __name__ == "__main__":
    main()
