"""What early stopping would have cost: epochs of whole runs, replayed."""

from pathlib import Path

import pytest

from tests.support.small_ledger import RUNS, Run, write
from transfer_sweep.reports import drawn_labels
from transfer_sweep.reports.drawn_labels import Drawn
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.sweep.config.schema import EarlyStopping
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.stopping.replay import Replay

STOPPING = EarlyStopping(grace=0.33, reduction=3)

FIRST = [1.0, 3.0, 2.0, 0.5, 2.9, 3.1]
"""What six trials score at their rung, after one of three epochs, in order of arrival."""

LAST = [70.0, 80.0, 75.0, 90.0, 82.0, 81.0]
"""Their accuracy in the end."""


def _ledger(folder: Path, state: TrialState = TrialState.DONE) -> Path:
    runs = [
        Run(
            "dann",
            "amazon",
            "dslr",
            {"lr": 0.1 * (i + 1)},
            [(50 + first, first, 1.0), (60.0, first, 1.0), (last, 5.0 if last == 90 else first, 1.0)],
            state=state,
        )
        for i, (first, last) in enumerate(zip(FIRST, LAST, strict=True))
    ]
    write(folder / "ledger.sqlite", runs)
    return folder / "ledger.sqlite"


def test_replayed_trials_end_where_the_rule_says(tmp_path: Path) -> None:
    """By hand, a trial goes on if it is not below the upper third of those before it (Li 2020, Algorithm 2, η = 3):
    the third, 2.0, is below 2⅓ (of 1, 3), the fourth, 0.5, below 2⅓ (of 1, 2, 3); 2.9 and 3.1 pass 2 and 2.6."""
    with Ledger(_ledger(tmp_path)) as ledger:
        replay = Replay(ledger, STOPPING)
        stopped = replay.stopped_by("information_maximization")
    assert replay.rung_epochs == [1]
    assert stopped["state"].tolist() == ["done", "done", "stopped", "stopped", "done", "done"]
    assert stopped["epochs_spent"].tolist() == [3, 3, 1, 1, 3, 3]
    assert stopped["target_accuracy"].tolist() == [70.0, 80.0, 52.0, 50.5, 82.0, 81.0]


def test_epochs_saved_and_accuracy_lost_are_said(tmp_path: Path) -> None:
    """The late bloomer is stopped: 90 is lost, for the criterion (81 has the highest of the rest) and the oracle."""
    with Ledger(_ledger(tmp_path)) as ledger:
        by_method, by_criterion = Replay(ledger, STOPPING).tables("information_maximization")
    assert by_method.rows == [["dann", "18", "14", "22 %", "90.00", "81.00", "−9.00", "90.00", "82.00", "−8.00"]]
    assert [row[0] for row in by_criterion.rows][-1] == "oracle"


def test_a_run_that_stopped_trials_cannot_be_replayed(tmp_path: Path) -> None:
    with (
        Ledger(_ledger(tmp_path, state=TrialState.STOPPED)) as ledger,
        pytest.raises(SweepError, match="stopped early here"),
    ):
        Replay(ledger, STOPPING)


def test_a_trial_that_failed_is_not_chosen_after_the_replay_either(tmp_path: Path) -> None:
    path = _ledger(tmp_path)
    with Ledger(path, write=True) as ledger:
        best = ledger.trials()["id"].iloc[4]  # 82 % in the end
        ledger.finish(best, TrialState.FAILED, "diverged")
        (row, *_) = Replay(ledger, STOPPING).tables("information_maximization")[0].rows
    assert row[-3:] == ["90.00", "81.00", "−9.00"]


def test_what_compares_predictions_cannot_be_replayed(tmp_path: Path) -> None:
    with Ledger(_ledger(tmp_path)) as ledger, pytest.raises(SweepError, match="cannot be replayed"):
        Replay(ledger, STOPPING).tables("ensemble_and_cluster")


def test_nothing_to_replay_in_small_cells(tmp_path: Path) -> None:
    write(tmp_path / "ledger.sqlite", [run for run in RUNS if run.state is not TrialState.STOPPED])
    with Ledger(tmp_path / "ledger.sqlite") as ledger, pytest.raises(SweepError, match="nothing to replay"):
        Replay(ledger, STOPPING)


def test_accuracies_that_drawn_labels_are_taken_out_of_are_not_replayed(tmp_path: Path) -> None:
    path = _ledger(tmp_path)
    for scored, refused in ((10, True), (None, False)):
        with Ledger(path, write=True) as ledger:
            ledger.set_meta(drawn_labels.META, {"dslr": Drawn((0, 2), (1, 1), scored).encode()})
            if refused:
                with pytest.raises(SweepError, match="labels that were drawn to choose trials are taken out"):
                    Replay(ledger, STOPPING)
            else:
                with pytest.raises(SweepError, match=r"labels\(2\) cannot be replayed"):
                    Replay(ledger, STOPPING).tables("labels(2)")
