"""What one recommendation a pair costs, by each of several rules: ``python -m benchmarks.recommendation FILES``.

The files are those of trials beside the reports of claimed runs (``docs/results/*.trials.csv.gz``). Every rule takes
each cell's trial by the run's criterion, and then one of these. Regret is to the best trial of any method on the pair;
rules see no target labels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from transfer_sweep.algorithms import registry
from transfer_sweep.reports import recommendation, regret, selection
from transfer_sweep.reports.recommendation import ANY, DEEP
from transfer_sweep.reports.selection import CLASSICAL

OWN_CRITERION = {"office_caltech10": "ensemble_and_cluster"}
"""What chooses inside cells, where an experiment's file names other than the default."""

Rule = Callable[[pd.DataFrame], "pd.Series[float]"]
"""The choices of a pair's cells → what they are ranked by."""


def by(criterion: str) -> Rule:
    """The best by one criterion, of all methods."""
    return lambda choices: selection.scores(choices, criterion)


def ranks(*criteria: str) -> Rule:
    """The best mean of ranks by some criteria, among the choices of the pair."""
    return lambda choices: sum((selection.scores(choices, each).rank(pct=True) for each in criteria[1:]),
                               start=selection.scores(choices, criteria[0]).rank(pct=True))  # fmt: skip


def deep_else(rule: Rule) -> Rule:
    """The best deep method by information maximisation where two ran or more, else by another rule."""

    def rank(choices: pd.DataFrame) -> pd.Series[float]:
        deep = choices["family"] != CLASSICAL
        return by(DEEP)(choices).where(deep) if deep.sum() >= 2 else rule(choices)

    return rank


def finals(criterion: str) -> Rule:
    """The best deep method by information maximisation against the best classical one, both by one criterion."""

    def rank(choices: pd.DataFrame) -> pd.Series[float]:
        deep = choices["family"] != CLASSICAL
        sides = [(by(DEEP), choices[deep]), (by(criterion), choices[~deep])]
        best = [rule(side).idxmax() for rule, side in sides if len(side)]
        return by(criterion)(choices).where(choices.index.isin(best))

    return rank


def ours(choices: pd.DataFrame) -> pd.Series[float]:
    """The project's."""
    _, scores, competes = recommendation.compared(choices)
    return scores.where(competes)


RULES: dict[str, Rule] = {
    "information maximization": by(DEEP),
    "pair ensemble": by("pair_ensemble"),
    "class cluster": by(ANY),
    "ranks: information maximization, pair ensemble": ranks(DEEP, "pair_ensemble"),
    "ranks: class cluster, pair ensemble": ranks(ANY, "pair_ensemble"),
    "ranks: all three": ranks(DEEP, ANY, "pair_ensemble"),
    "deep by information maximization, else pair ensemble": deep_else(by("pair_ensemble")),
    "deep by information maximization, else ranks: class cluster, pair ensemble": deep_else(
        ranks(ANY, "pair_ensemble")
    ),
    "finals of best deep and best classical: pair ensemble": finals("pair_ensemble"),
    "finals of best deep and best classical: class cluster": finals(ANY),
    "**deep by information maximization, else class cluster (ours)**": ours,
}


def regrets(path: Path) -> pd.DataFrame:
    """Regret of each rule (columns) on each pair (rows) of a run; of the mean over choices and of chance, too."""
    rows = regret.read(path)
    rows["family"] = [registry.get(method).family for method in rows["method"]]
    name = path.name.removesuffix(regret.SUFFIX)
    choices = selection.choose(rows, OWN_CRITERION.get(name, selection.DEFAULT))
    best = selection.eligible(rows).groupby(["source", "target"])["target_accuracy"].max()
    found = {}
    for pair, of_pair in choices.groupby(["source", "target"], sort=False):
        accuracies = of_pair["target_accuracy"]
        picked = {rule: accuracies.iloc[int(rank(of_pair).argmax())] for rule, rank in RULES.items()}
        found[pair] = {**picked, "a random method": accuracies.mean()}
    return pd.DataFrame(found).T.loc[best.index].rsub(best, axis="index")


def main() -> None:
    """Print a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    runs = {path.name.removesuffix(regret.SUFFIX): regrets(path) for path in parser.parse_args().files}
    runs = {name: found for name, found in runs.items() if len(found)}  # of some, nothing is chosen
    table = []
    for rule in next(iter(runs.values())):
        means = [float(found[rule].mean()) for found in runs.values()]
        cells = [f"{found[rule].mean():.2f} ({found[rule].max():.1f})" for found in runs.values()]
        table.append((float(np.max(means)), [rule, *cells, f"{np.mean(means):.2f}", f"{np.max(means):.2f}"]))
    head = ["among the choices of a pair", *(f"{name}, {len(found)} pairs" for name, found in runs.items())]
    rows = [row for _, row in sorted(table, key=lambda each: each[0])]
    print(tabulate(rows, [*head, "mean", "worst mean"], "github", disable_numparse=True))


if __name__ == "__main__":
    main()
