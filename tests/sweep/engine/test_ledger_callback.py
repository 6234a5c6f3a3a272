"""What the ledger is told of trials that go wrong."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Trial, TrialState
from transfer_sweep.reports.pruning import ArtefactPruner
from transfer_sweep.sweep.engine.checkpoint_storage import Storage
from transfer_sweep.sweep.engine.ledger_callback import LedgerCallback
from transfer_sweep.sweep.engine.trainable import TransferTrial, TrialSpec
from transfer_sweep.sweep.errors import SweepError


def _recorder(ledger: Ledger, row: Trial, folder: Path) -> LedgerCallback:
    pruner, storage = ArtefactPruner(ledger, folder, "entropy"), Storage.of(str(folder), "deep")
    return LedgerCallback(ledger, {row.id: TrialSpec(row)}, folder, storage, lambda _: None, pruner)


def _tunes(row: Trial, may_go_on: bool = False) -> Any:
    """A trial as Tune hands it to a callback."""
    error = RuntimeError("the actor died unexpectedly")
    return SimpleNamespace(
        config={"trial": {"id": row.id}}, local_path=None, should_recover=lambda: may_go_on, get_error=lambda: error
    )


def test_a_disk_that_is_full_for_a_trial_is_no_failure_of_it_and_ends_the_run(
    trial: TransferTrial, small_disk: Path, tmp_path: Path
) -> None:
    row = trial._spec.trial
    trial._folder = small_disk
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(bytes(4 * 2**20))
    result = trial.step()
    assert result["report"].state is TrialState.FAILED
    assert not list(small_disk.rglob("*.part"))
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        ledger.set_plan([row])
        recorder = _recorder(ledger, row, tmp_path)
        recorder.on_trial_start(0, [], _tunes(row))
        with pytest.raises(SweepError, match="disk is full") as full:
            recorder.on_trial_result(1, [], _tunes(row), result)
        assert recorder.error is full.value
        assert ledger.states() == {row.id: "running"}  # pending again at the next run
        ledger.set_plan([row])
        assert ledger.states() == {row.id: "pending"}


def test_a_trial_whose_process_goes_before_it_began_is_tried_again(trial: TransferTrial, tmp_path: Path) -> None:
    row = trial._spec.trial
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        ledger.set_plan([row])
        recorder = _recorder(ledger, row, tmp_path)
        recorder.on_trial_error(0, [], _tunes(row, may_go_on=True))
        assert recorder.lost == {row.id}
        assert ledger.states() == {row.id: "pending"}
        recorder.on_trial_error(0, [], _tunes(row))  # as often as it may be
        assert ledger.states() == {row.id: "failed"}
        assert "actor died" in ledger.trials()["error"].iloc[0]
