"""What a pass is to run beside the search: more seeds of what was chosen, once that is sure."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.experiment_file import load_methods
from transfer_sweep.reports.ledger import artefacts
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import EpochReport, Trial, TrialState
from transfer_sweep.sweep.planning import strategies, trials

METHODS = {"dann": "{lr: [0.01, 0.1]}", "tca": "{mu: [0.1, 1]}", "jda": "{mu: [0.1, 1], iterations: 2}"}
CRITERIA = {"information_maximization": 1.0, "entropy": -1.0, "predicted_classes": 1.0}


def done(ledger: Ledger, trial: Trial) -> None:
    ledger.start(trial.id, {"cpu": 1})
    logits = np.eye(3, dtype=np.float32)
    kept = {artefacts.LOGITS: artefacts.save_predictions(ledger.path.parent, trial.id, logits, None)}
    ledger.record_epoch(trial.id, EpochReport(1, 50.0, CRITERIA, {}, seconds=0.5), kept)
    ledger.finish(trial.id, TrialState.DONE)


@pytest.mark.parametrize(
    ("criterion", "waits"),
    [
        ("auto", {"tca"}),
        ("pair_ensemble", {"dann", "tca"}),
        ("information_maximization", set()),
        ("ensemble", set()),
        ("ensemble_and_cluster", {"dann", "tca"}),
    ],
)
def test_what_compares_the_trials_of_a_pair_chooses_when_its_whole_search_is_complete(
    tmp_path: Path, criterion: str, waits: set[str]
) -> None:
    wanted = load_methods(tmp_path, f"confirm: {{seeds: 2, controls: false}}\ncriterion: {criterion}", METHODS)
    search = trials.search(wanted)
    late = next(trial for trial in search if trial.method == "jda")
    with Ledger(tmp_path / "results" / "ledger.sqlite", write=True) as ledger:
        families = {"dann": "deep", "tca": "shallow", "jda": "shallow"}
        ledger.set_meta("experiment", {"family": families})
        ledger.set_plan(search)
        for trial in search:
            if trial != late:
                done(ledger, trial)

        def confirmed(asked: Callable[[Trial], bool] = lambda _: True) -> set[tuple[str, str]]:
            plan = strategies.grid(wanted, search, ledger, given_up=(), wanted=asked).trials
            return {(trial.method, str(trial.pair)) for trial in plan if trial.role == "confirm"}

        everything = {(trial.method, str(trial.pair)) for trial in search}
        waiting = {(method, str(late.pair)) for method in {"jda", *waits}}
        assert confirmed() == everything - waiting
        # What --only leaves out holds nothing up.
        assert confirmed(lambda trial: trial.method != "jda") == everything - {("jda", str(late.pair))}
        done(ledger, late)
        assert confirmed() == everything
