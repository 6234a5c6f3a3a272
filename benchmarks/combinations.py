"""How far combining criteria could go: ``python -m benchmarks.combinations results/NAME/ledger.sqlite``.

Every mean of ranks by two or three criteria of a run, among them other ways of asking all trials of a pair together:
the regret of the one that is best in hindsight, of the one that is best on all other pairs (which is what choosing a
combination gives), and of the project's own, with a bootstrap over pairs.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from transfer_sweep.reports import selection
from transfer_sweep.reports.criteria.outputs import Outputs
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.selection import CELL

PAIR = ["source", "target"]
QUARTERS = (0.25, 0.5, 0.75)
DRAWS = 10_000
OURS = "ensemble_and_cluster"


def pool(path: Path) -> pd.DataFrame:
    """The trials that compete in cells with a choice, with what chooses them and the files of their predictions."""
    with Ledger(path) as ledger:
        found = selection.candidates(ledger)
    rows = found.assign(**selection.with_derived(found))
    rows = selection.with_choice(rows[rows["declared_access"] == "none"])
    return rows[rows["seed"] == rows.groupby(CELL)["seed"].transform("first")]


def within(rows: pd.DataFrame, scores: pd.Series, columns: list[str]) -> pd.Series:
    """Ranks (shares, 1 is best) among trials that agree in ``columns``."""
    return scores.groupby([rows[name] for name in columns]).rank(pct=True)


def ensembles(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Agreement with the trials of a pair together, by who votes, and how."""
    sound = rows["predicted_classes"] > selection.COLLAPSED
    stored = {i: selection.stored_logits(path) for i, path in rows["logits"].items()}
    predictions = {i: Outputs.of_logits(logits) for i, logits in stored.items() if logits is not None}

    def agreement(weights: pd.Series, hard: bool = False) -> pd.Series:
        found = pd.Series(np.nan, index=rows.index)
        for _, of_pair in rows.groupby([*PAIR, "protocol"], sort=False):
            known = {i: p for i in of_pair.index if (p := predictions.get(i)) is not None and not p.undefined}
            votes = [
                weights[i] * (np.eye(p.probabilities.shape[1])[p.classes] if hard else p.probabilities)
                for i, p in known.items()
            ]
            together = np.sum(votes, axis=0).argmax(axis=1)
            for i, own in known.items():
                found[i] = 100 * (own.classes == together).mean()
        return found

    one_a_cell = sound / rows.groupby(CELL)["id"].transform("size")
    by_two = within(rows, rows["pair_ensemble"], CELL) + within(rows, rows["class_cluster"], CELL)
    chosen = by_two.where(sound, -1)
    chosen = (chosen == chosen.groupby([rows[name] for name in CELL]).transform("max")).astype(float)
    best = within(rows, rows["pair_ensemble"], PAIR)
    return {
        "hard votes": agreement(sound.astype(float), hard=True),
        "a vote a cell": agreement(one_a_cell),
        "a hard vote a cell": agreement(one_a_cell, hard=True),
        "the chosen vote": agreement(chosen),
        "the chosen vote, hard": agreement(chosen, hard=True),
        **{f"the first {1 - q:.0%} vote": agreement((sound & (best >= q)).astype(float)) for q in QUARTERS},
    }


def regrets(rows: pd.DataFrame, scores: Mapping[str, pd.Series]) -> pd.DataFrame:
    """The regret of each cell (rows) by each single score and by each mean of ranks of two or three (columns)."""
    best = rows.groupby(CELL, sort=False)["target_accuracy"].max()
    collapsed = rows["predicted_classes"] <= selection.COLLAPSED

    def regret(score: pd.Series) -> pd.Series:
        order = rows.assign(score=score, collapsed=collapsed).sort_values(
            ["collapsed", "score"], ascending=[True, False], kind="stable"
        )
        return best - order.drop_duplicates(CELL).set_index(CELL)["target_accuracy"]

    ranks = {name: within(rows, score.where(~collapsed), CELL) for name, score in scores.items()}
    combined = {
        " + ".join(names): sum((ranks[name] for name in names[1:]), start=ranks[names[0]])
        for n in (2, 3)
        for names in itertools.combinations(ranks, n)
    }
    return pd.DataFrame({name: regret(score) for name, score in {**scores, **combined}.items()})


def main() -> None:
    """Print a markdown table for each ledger."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledgers", type=Path, nargs="+")
    for path in parser.parse_args().ledgers:
        rows = pool(path)
        scores = {name: rows[name] for name in selection.available(rows) if name in rows} | ensembles(rows)
        cells = regrets(rows, scores)
        by_pair = cells.groupby(level=PAIR, sort=False).mean()
        pairs = pd.MultiIndex.from_frame(cells.index.to_frame()[PAIR])
        elsewhere = {pair: cells[pairs != pair].mean().idxmin() for pair in by_pair.index}
        best = cells.mean().idxmin()
        ours = regrets(rows, {OURS: selection.values(rows, OURS)})[OURS]
        shown = {
            f"`{OURS}`": ours.groupby(level=PAIR, sort=False).mean(),
            f"the best of {cells.shape[1]} in hindsight: {best}": by_pair[best],
            "for each pair the best of them on all others": pd.Series(
                {p: by_pair.loc[p, n] for p, n in elsewhere.items()}
            ),
        }
        draw = np.random.default_rng(0).integers(0, len(by_pair), (DRAWS, len(by_pair)))
        table = []
        for name, each in shown.items():
            low, high = np.percentile(each.to_numpy()[draw].mean(axis=1), [2.5, 97.5])
            table.append([name, f"{each.mean():.2f}", f"{low:.2f} to {high:.2f}", f"{each.max():.2f}"])
        print(f"{path.parent.name}: {len(rows)} trials, {len(cells)} cells, {len(by_pair)} pairs\n")
        head = ["chosen by", "mean regret", "95 % (bootstrap over pairs)", "worst pair"]
        print(tabulate(table, head, "github", disable_numparse=True), "\n")


if __name__ == "__main__":
    main()
