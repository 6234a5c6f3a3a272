"""Which criterion to trust: regrets over the recorded trials of several experiments."""

import math
from pathlib import Path

import pandas as pd
import pytest

from tests.support.small_ledger import PROTOCOL, RUNS, Run, experiment, write
from transfer_sweep.reports import regret, results
from transfer_sweep.reports.formats import data
from transfer_sweep.reports.sections import choosing


def test_regret_from_a_file_of_trials_is_that_of_the_ledger(tmp_path: Path) -> None:
    """In each of the three cells information maximisation takes 80 of (70, 80, 82, 3); chance gives 58.75."""
    write(tmp_path / "ledger.sqlite", RUNS)
    own = results.read(tmp_path / "ledger.sqlite")
    (tmp_path / "small.trials.csv.gz").write_bytes(data.trials_csv(own))
    found = regret.regrets({"small": regret.read(tmp_path / "small.trials.csv.gz", {})}).set_index("criterion")
    assert found[["mean", "worst", "cells"]].T["information_maximization"].tolist() == [2.0, 2.0, 3]
    assert found.loc["random", "mean"] == pytest.approx(82 - 58.75)
    table = choosing.across_experiments(found.reset_index())
    assert table.rows[-1][0] == "`random`"
    assert table.headers == ["chosen by", "small, 3 cells", "worst mean"]


def test_what_is_no_file_of_trials_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.trials.csv.gz"
    pd.DataFrame({"a": [1]}).to_csv(path)
    with pytest.raises(ValueError, match="holds no trials"):
        regret.read(path, {})
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match="damaged"):
        regret.read(path, {})
    experiment(tmp_path, RUNS)
    path.write_bytes(data.trials_csv(results.read(tmp_path / "office31_small" / "ledger.sqlite")))
    trials = pd.read_csv(path)
    assert len(regret.read(path, {})) == len(trials)
    for protocol in ("no protocol", math.nan):
        trials.assign(protocol=protocol).to_csv(path)
        with pytest.raises(ValueError, match="damaged"):
            regret.read(path, {})
    text = tmp_path / "README.md"
    text.write_text("A page\nof text\nand, with, commas\n")
    with pytest.raises(ValueError, match="damaged") as refused:
        regret.read(text, {})
    assert "\n" not in str(refused.value)


def test_what_saw_labels_says_nothing_of_criteria(tmp_path: Path) -> None:
    few = {**PROTOCOL, "few": {"per_class": 3, "classes": None, "source": True}}
    more = [
        Run("mcc", "amazon", "webcam", {}, [(90.0, 1.0, 1.0)], protocol=few),
        Run("target_only", "webcam", "webcam", {}, [(95.0, 1.0, 1.0)]),
        Run("transferability", "amazon", "webcam", {"layers": 1}, [(50.0, 1.0, 1.0)]),
    ]
    path = experiment(tmp_path, [*RUNS, *more], label_access={"target_only": "target_train"})
    (tmp_path / "some.trials.csv.gz").write_bytes(data.trials_csv(results.read(path)))
    found = regret.read(tmp_path / "some.trials.csv.gz", {})
    assert set(found["method"]) == {"source_only", "dann"}
    assert found["protocol"].str.contains('"few":null').all()
